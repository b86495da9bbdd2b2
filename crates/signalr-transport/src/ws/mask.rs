//! Taking the client's mask off a payload, in place.

/// Unmasks `bytes`, whose first byte is number `phase` (modulo 4) of its frame.
pub(crate) fn unmask(bytes: &mut [u8], key: [u8; 4], phase: usize) {
    let mut turned = key;
    turned.rotate_left(phase & 3);
    let wide = u64::from_ne_bytes([
        turned[0], turned[1], turned[2], turned[3], turned[0], turned[1], turned[2], turned[3],
    ]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(value) ^ wide).to_ne_bytes());
    }
    for (position, byte) in words.into_remainder().iter_mut().enumerate() {
        *byte ^= turned[position & 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_phase_equals_the_definition() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for length in 0..40 {
            for phase in 0..8 {
                let mut bytes: Vec<u8> = (0..length).map(|i| i as u8 ^ 0xA5).collect();
                let wanted: Vec<u8> =
                    bytes.iter().enumerate().map(|(i, byte)| byte ^ key[(i + phase) % 4]).collect();
                unmask(&mut bytes, key, phase);
                assert_eq!(bytes, wanted, "length {length}, phase {phase}");
            }
        }
    }
}
