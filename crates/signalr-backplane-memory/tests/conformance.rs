//! The conformance suite on the memory backplane.

use signalr_backplane_memory::MemoryBus;
use signalr_core::Backplane;
use signalr_testkit::conformance::Fleet;
use std::sync::Arc;

struct MemoryFleet(MemoryBus);

#[async_trait::async_trait]
impl Fleet for MemoryFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(self.0.backplane())
    }
}

signalr_testkit::backplane_conformance!(MemoryFleet(MemoryBus::new()));
