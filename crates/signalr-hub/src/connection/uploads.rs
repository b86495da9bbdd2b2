//! The streams that one connection's client is sending, by id.
//!
//! Owns who feeds which stream, and the end of a stream with its call and with the connection (B-7.6). The queues are in
//! `client_stream`.

use crate::client_stream::Upload;
use crate::error::HubError;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The streams of all running calls. A connection without any owns no table.
#[derive(Default)]
pub(super) struct Uploads {
    open: Option<HashMap<Box<str>, Arc<dyn Upload>>>,
}

impl Uploads {
    /// Announces the streams of a call. An id that is in use belongs to the newest stream from now on.
    pub(super) fn add(&mut self, streams: &CallStreams) {
        for (id, upload) in &streams.0 {
            self.open.get_or_insert_default().insert(id.clone(), upload.clone());
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<dyn Upload>> {
        self.open.as_ref()?.get(id)
    }

    /// Takes a stream out, because the client has ended it.
    pub(super) fn remove(&mut self, id: &str) -> Option<Arc<dyn Upload>> {
        let open = self.open.as_mut()?;
        let upload = open.remove(id);
        if open.is_empty() {
            self.open = None;
        }
        upload
    }

    /// A call has ended, and its streams with it. Streams of other calls that took over an id stay.
    pub(super) fn finish(&mut self, streams: &CallStreams) {
        for (id, upload) in &streams.0 {
            upload.end(None);
            if self.get(id).is_some_and(|open| Arc::ptr_eq(open, upload)) {
                self.remove(id);
            }
        }
    }
}

/// The streams of one running call. Dropped with a call that has not ended, they fail: the connection is gone.
pub(super) struct CallStreams(Vec<(Box<str>, Arc<dyn Upload>)>);

impl CallStreams {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the streams that a call has opened the ids that the client sent, in order; as many as there are streams.
    pub(super) fn new(ids: Option<&[Cow<'_, str>]>, uploads: Vec<Arc<dyn Upload>>) -> Self {
        let ids = ids.unwrap_or_default().iter().map(|id| id.as_ref().into());
        Self(ids.zip(uploads).collect())
    }
}

impl Drop for CallStreams {
    fn drop(&mut self) {
        for (_, upload) in &self.0 {
            let text = "The underlying connection was closed.";
            upload.end(Some(HubError::named("OperationCanceledException", text)));
        }
    }
}
