//! The smallest hub: `cargo run -p hello`, then let any SignalR client connect to the printed address.
//!
//! With the official JavaScript client in Node:
//!
//! ```js
//! const connection = new signalR.HubConnectionBuilder().withUrl("http://127.0.0.1:5001/hello").build();
//! connection.on("Greeted", name => console.log(`${name} has been greeted`));
//! await connection.start();
//! console.log(await connection.invoke("Greet", "Ada")); // Hello, Ada!
//! ```

use signalr::prelude::*;

/// Greets; everybody hears of it.
struct Hello;

#[hub]
impl Hello {
    async fn greet(&self, cx: &Context, name: String) -> HubResult<String> {
        cx.clients().all().send("Greeted", (&name,)).await?;
        Ok(format!("Hello, {name}!"))
    }
}

#[tokio::main]
async fn main() -> signalr::Result<()> {
    let server = SignalR::builder().hub("/hello", Hello).build().await?;
    let serving = signalr::warp::Serving::bind(server, ([127, 0, 0, 1], 5001)).await?;
    println!("Hello is ready: http://{}/hello", serving.local_addr());
    serving.run().await?;
    Ok(())
}
