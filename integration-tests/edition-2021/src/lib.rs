//! A hub in a crate of edition 2021, where a returned `impl Stream` captures no lifetime unless it says so.
//!
//! Owns the proof that the macros serve such crates and that streams may borrow there too. Everything else about
//! hubs is tested in the facade crate.

use futures_util::stream::{self, BoxStream, StreamExt};
use signalr::prelude::*;

/// Streams that borrow the hub, the context, both or nothing.
pub struct Words(pub Vec<String>);

/// A client with one borrowed argument.
#[hub_client]
pub trait Reader {
    /// Shows a word.
    async fn show(&self, word: &str);
}

#[hub]
impl Words {
    fn owned(&self, count: u32) -> impl Stream<Item = u32> {
        stream::iter(0..count)
    }

    fn borrows_hub(&self) -> impl Stream<Item = String> + '_ {
        stream::iter(&self.0).map(String::clone)
    }

    fn borrows_items(&self) -> impl Stream<Item = &str> + '_ {
        stream::iter(self.0.iter().map(String::as_str))
    }

    fn borrows_both<'a>(&'a self, cx: &'a Context) -> impl Stream<Item = String> + 'a {
        stream::iter(&self.0).map(move |word| format!("{word} {}", cx.connection_id()))
    }

    fn fails<'a>(&'a self, cx: &'a Context) -> HubResult<impl Stream<Item = HubResult<String>> + 'a> {
        let broken = HubError::new("no more words");
        Ok(self.borrows_both(cx).map(Ok).chain(stream::iter([Err(broken)])))
    }

    fn boxed(&self) -> BoxStream<'_, String> {
        self.borrows_hub().boxed()
    }

    async fn later(&self, cx: &Context) -> HubResult<BoxStream<'_, String>> {
        cx.clients().typed::<Reader>().caller().show("soon").await?;
        Ok(self.boxed())
    }
}

#[cfg(test)]
mod tests {
    use signalr_client::HubClient;

    use super::*;

    async fn drain(client: &HubClient, method: &str) -> (Vec<String>, Option<String>) {
        let mut items = client.stream::<String>(method, ()).await.unwrap();
        let mut received = Vec::new();
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => received.push(item),
                Err(error) => return (received, Some(error.to_string())),
            }
        }
        (received, None)
    }

    #[tokio::test]
    async fn streams_may_borrow() {
        let words = vec!["one".to_owned(), "two".to_owned()];
        let server = SignalR::builder().hub("/words", Words(words.clone())).build().await.unwrap();
        let serving = signalr::warp::Serving::bind(server, ([127, 0, 0, 1], 0)).await.unwrap();
        let url = format!("http://{}/words", serving.local_addr());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(serving.until(async { stopped.await.unwrap_or_default() }).run());

        let mut builder = HubClient::builder(url);
        let mut shown = builder.messages::<(String,)>("Show");
        let client = builder.connect().await.unwrap();
        for method in ["BorrowsHub", "BorrowsItems", "Boxed", "Later"] {
            assert_eq!(drain(&client, method).await, (words.clone(), None), "{method}");
        }
        assert_eq!(shown.next().await.unwrap().unwrap(), ("soon".to_owned(),));
        let (both, none) = drain(&client, "BorrowsBoth").await;
        assert!(both[0].starts_with("one ") && both.len() == 2 && none.is_none(), "{both:?}");
        let (items, error) = drain(&client, "Fails").await;
        assert_eq!(items, both);
        assert!(error.is_some_and(|text| text.contains("no more words")));
        let mut numbers = client.stream::<u32>("Owned", (1,)).await.unwrap();
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0);

        drop(stop);
        served.await.unwrap().unwrap();
    }
}
