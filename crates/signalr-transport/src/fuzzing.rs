//! Body of the fuzz target in `fuzz/`, called by a property test too. Not for users: anything here may change.

use crate::ws::transcript::{Ending, decode};

/// Any bytes as a client's frames: nothing panics, and the sizes of the reads make no difference. The first byte of
/// `data` chooses them.
pub fn websocket_decode(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let limit = (choice & 1 == 1).then_some(4096);
    let whole = decode(stream, &[], limit);
    let sizes = [usize::from(choice >> 1 & 7) + 1, usize::from(choice >> 4) + 1];
    let pieces = decode(stream, &sizes, limit);
    // A message that is cut short by an error may have been longer in one way of reading than in the other, but what
    // was complete, and how it ended, is the same.
    assert_eq!(whole, pieces, "the size of reads must not matter");
    if let Ending::Failed(code) = whole.ending {
        assert!(matches!(code.number(), 1002 | 1007 | 1009), "{code} is no code for a peer's fault");
    }
}
