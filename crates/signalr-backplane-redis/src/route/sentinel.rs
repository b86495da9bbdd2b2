//! The Sentinels that know where the primary is.
//!
//! Owns asking all of them, judging their answers, and listening to all of them for a failover. Sentinels count their
//! failovers (`config-epoch`): the highest count is the newest truth, so one Sentinel that was cut off and still tells of
//! the old primary misleads nobody who reaches another.

use super::gather::gather;
use super::{Candidates, Known, Resolver, unavailable, worst};
use crate::backoff::Backoff;
use crate::dial::{Link, Push, dial};
use crate::listener::Listener;
use crate::settings::{Address, Settings};
use async_trait::async_trait;
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisResult};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Where Sentinels tell of a failover.
const SWITCH: &str = "+switch-master";
/// How often a Sentinel is asked although it told nothing; also how its silence is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a Sentinel may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

pub(super) struct Sentinels {
    settings: Settings,
    service: String,
}

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    address: Address,
    /// 0 when it does not tell.
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(settings: &Settings, service: &str) -> Self {
        Self { settings: settings.for_sentinels(), service: service.to_owned() }
    }

    async fn ask_one(&self, sentinel: &Address) -> Result<Option<Answer>, BackplaneError> {
        let link = self.dial(sentinel, None).await?;
        question(&mut link.conn(), &self.service, sentinel).await
    }

    async fn dial(&self, sentinel: &Address, push: Option<Push>) -> Result<Link, BackplaneError> {
        dial(&self.settings.at(&sentinel.host, sentinel.port), push).await
    }

    /// Listens to one Sentinel, for ever.
    async fn follow(&self, sentinel: &Address, known: &watch::Sender<Known>) {
        let mut backoff = Backoff::new(self.settings.retry);
        loop {
            let told = Arc::new(Notify::new());
            let ear: Push = {
                let told = told.clone();
                Arc::new(move |push: PushInfo| {
                    if push.kind == PushKind::Message {
                        told.notify_one();
                    }
                })
            };
            let error = match self.reach(sentinel, ear).await {
                Ok((listener, questions)) => {
                    backoff.reset();
                    self.listen(listener, questions.as_ref(), sentinel, &told, known).await
                }
                Err(error) => error,
            };
            tracing::debug!(%sentinel, %error, "a Sentinel is not heard");
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// A connection that receives and, where that cannot be asked anything else, one for questions.
    async fn reach(&self, sentinel: &Address, ear: Push) -> Result<(Listener, Option<Link>), BackplaneError> {
        let link = self.dial(sentinel, Some(ear)).await?;
        let listener = link.into_listener().await.ok_or_else(|| silent(sentinel))?;
        let questions = match listener.conn() {
            Some(_) => None,
            None => Some(self.dial(sentinel, None).await?),
        };
        Ok((listener, questions))
    }

    /// Listens until a connection is over; says why.
    async fn listen(
        &self,
        mut listener: Listener,
        questions: Option<&Link>,
        sentinel: &Address,
        told: &Notify,
        known: &watch::Sender<Known>,
    ) -> BackplaneError {
        let asked = questions.map(Link::conn).or_else(|| listener.conn());
        let Some(mut conn) = asked else { return silent(sentinel) };
        let mut ear = listener.ear();
        let mut news = false;
        let mut listens = false;
        loop {
            // Where questions take another way, asking again for what is in force shows whether this one still works.
            if !listens || questions.is_some() {
                match tokio::time::timeout(ANSWER, ear.subscribe(vec![SWITCH.to_owned()])).await {
                    Ok(Ok(())) => listens = true,
                    Ok(Err(error)) => return refused(sentinel, &error),
                    Err(_) => return silent(sentinel),
                }
            }
            match question(&mut conn, &self.service, sentinel).await {
                Ok(Some(answer)) => learn(known, answer, news),
                Ok(None) => {}
                Err(error) => return error,
            }
            tokio::select! {
                () = listener.ended() => return silent(sentinel),
                () = told.notified() => news = true,
                () = tokio::time::sleep(LOOK) => news = false,
            }
        }
    }
}

#[async_trait]
impl Resolver for Sentinels {
    async fn resolve(&self) -> Result<Candidates, BackplaneError> {
        let questions = self.settings.endpoints.iter().map(|sentinel| self.ask_one(sentinel));
        let (answers, failed) = gather(questions, false).await;
        if answers.is_empty() {
            return Err(worst(failed));
        }
        judge(answers.into_iter().flatten().collect()).ok_or_else(|| {
            let text = format!("no Sentinel knows the service {:?}; check its name", self.service);
            BackplaneError::new(BackplaneErrorKind::Config, text)
        })
    }

    async fn watch(&self, known: &watch::Sender<Known>) {
        join_all(self.settings.endpoints.iter().map(|sentinel| self.follow(sentinel, known))).await;
    }
}

/// Asks for the count first: an answer that is as old as its count, or newer, never makes an old address look new.
async fn question(
    conn: &mut MultiplexedConnection,
    service: &str,
    sentinel: &Address,
) -> Result<Option<Answer>, BackplaneError> {
    let asked = async {
        let master = redis::cmd("SENTINEL").arg("MASTER").arg(service).to_owned();
        // Not every user may ask this, and a service that is not known is an error here.
        let fields: HashMap<String, String> = master.query_async(conn).await.unwrap_or_default();
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        let address = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).to_owned();
        let address: RedisResult<Option<(String, u16)>> = address.query_async(conn).await;
        address.map(|found| found.map(|(host, port)| Answer { address: Address { host, port }, epoch }))
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(|error| refused(sentinel, &error)),
        Err(_) => Err(silent(sentinel)),
    }
}

/// The addresses of the newest failover; if Sentinels write it differently, what most write comes first.
fn judge(answers: Vec<Answer>) -> Option<Candidates> {
    let epoch = answers.iter().map(|answer| answer.epoch).max()?;
    let mut votes: Vec<(Address, usize)> = Vec::new();
    for answer in answers.into_iter().filter(|answer| answer.epoch == epoch) {
        match votes.iter_mut().find(|(address, _)| *address == answer.address) {
            Some((_, count)) => *count += 1,
            None => votes.push((answer.address, 1)),
        }
    }
    votes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Some(Candidates { addresses: votes.into_iter().map(|(address, _)| address).collect(), epoch })
}

/// Takes note of where the primary is now. `news`: the Sentinel has just told of a failover, which counts where nobody
/// says how many there were.
fn learn(known: &watch::Sender<Known>, answer: Answer, news: bool) {
    known.send_if_modified(|known| {
        let uncounted = news && answer.epoch == 0 && known.address.as_ref() != Some(&answer.address);
        if answer.epoch <= known.epoch && !uncounted {
            return false;
        }
        if known.address.as_ref() != Some(&answer.address) {
            tracing::info!(primary = %answer.address, "Sentinel tells where the primary is");
        }
        *known = Known { address: Some(answer.address), epoch: answer.epoch };
        true
    });
}

fn refused(sentinel: &Address, error: &redis::RedisError) -> BackplaneError {
    if matches!(error.kind(), redis::ErrorKind::Server(_)) {
        let text = format!("the Sentinel at {sentinel} refuses: {error}; check that it is one, and its user");
        return BackplaneError::new(BackplaneErrorKind::Refused, text);
    }
    silent(sentinel)
}

fn silent(sentinel: &Address) -> BackplaneError {
    unavailable(&format!("the Sentinel at {sentinel} does not answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16, epoch: u64) -> Answer {
        Answer { address: Address { host: "h".to_owned(), port }, epoch }
    }

    #[test]
    fn the_newest_truth_counts_however_many_tell_the_old_one() {
        let judged = judge(vec![at(1, 4), at(2, 5), at(1, 4)]);
        assert_eq!(judged, Some(Candidates { addresses: vec![at(2, 5).address], epoch: 5 }));
        let judged = judge(vec![at(1, 0), at(2, 0), at(2, 0)]);
        assert_eq!(
            judged,
            Some(Candidates { addresses: vec![at(2, 0).address, at(1, 0).address], epoch: 0 })
        );
        assert_eq!(judge(Vec::new()), None);
    }

    #[test]
    fn only_what_is_newer_is_learned() {
        let (known, _) = watch::channel(Known { address: Some(at(1, 0).address), epoch: 3 });
        let port = || known.borrow().address.as_ref().map(|address| address.port);
        learn(&known, at(2, 2), true);
        learn(&known, at(2, 3), false);
        assert_eq!(port(), Some(1));
        learn(&known, at(2, 4), false);
        assert_eq!(port(), Some(2));
        learn(&known, at(3, 0), false);
        assert_eq!(port(), Some(2), "an uncounted answer counts only when a failover was told");
        learn(&known, at(3, 0), true);
        assert_eq!(port(), Some(3));
    }
}
