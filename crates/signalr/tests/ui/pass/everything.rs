//! Shapes that compile without a warning, even where lints are strict.
#![deny(warnings, missing_docs, unreachable_pub, unused, clippy::all)]

use signalr::prelude::*;
use std::pin::Pin;

/// Generic types may be hubs once they are concrete.
pub struct Store<T>(T);

#[hub]
impl Store<u32> {
    /// A constant is no method.
    pub const LIMIT: u32 = 1;

    /// Public, documented.
    pub fn get(&self) -> u32 {
        self.0.min(Self::LIMIT)
    }

    async fn unit(&self) {}

    fn explicit_unit(&self) -> Result<(), std::io::Error> {
        Ok(())
    }

    async fn read(&self, mut first: ClientStream<u32>, factor: u32, _second: ClientStream<String>) -> HubResult<u32> {
        first.next().await.unwrap_or(Ok(0)).map(|item| item * factor)
    }

    fn relay(&self, items: ClientStream<u32>) -> ClientStream<u32> {
        items
    }

    fn stream(&self) -> Pin<Box<dyn Stream<Item = u32> + Send>> {
        Box::pin(futures_util::stream::empty())
    }
}

mod clients {
    use signalr::prelude::*;

    #[hub_client]
    /// A client.
    pub(crate) trait Quiet {
        async fn ping(&self);
    }
}

/// Every form of a policy.
pub mod guarded {
    /// A hub.
    pub struct Hub;

    fn nobody(_: &signalr::Caller<'_>) -> bool {
        false
    }

    #[signalr::hub(authorize, authorize = nobody, name = "Guarded.Hub")]
    impl Hub {
        #[hub_method(authorize, authorize = self::nobody, authorize = "named")]
        fn guarded(&self) {}

        #[hub_method(authorize = signalr::authenticated, name = "Other")]
        async fn named(&self) {}
    }
}

/// Nothing is imported for generated code to work.
pub mod bare {
    /// A hub.
    pub struct Hub;

    #[signalr::hub(name = "Bare.Hub", rename_all = "camelCase")]
    impl Hub {
        fn hub(&self, cx: &signalr::Context, definition: u32) -> u32 {
            let _ = cx.connection_id();
            definition
        }
    }
}

fn main() {
    assert_eq!(Store(3).get(), 1);
    let hub = bare::Hub;
    let names: Vec<_> = hub.define().method_names().map(str::to_owned).collect();
    assert_eq!(names, ["hub"]);
    let _ = std::mem::size_of::<clients::QuietProxy>();
}
