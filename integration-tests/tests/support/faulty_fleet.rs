//! Three servers that talk without a pause, each with its way to Redis: a relay of its own, or what a topology offers; and
//! the account of what arrived.
//!
//! Owns the fleet, the talking and the account. What goes wrong in between is the test's.

#![allow(dead_code, reason = "the tests with relays and those with topologies use different parts")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use signalr_client::{HubClient, Protocol};
use signalr_integration_tests::fault_row::FaultRow;
use signalr_integration_tests::redis::Redis;
use signalr_integration_tests::relay::Relay;
use signalr_integration_tests::server::Server;
use signalr_integration_tests::topology::{Kind, Topology};
use signalr_integration_tests::{PATIENCE, http, within};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Three servers.
pub(crate) const NODES: usize = 3;
/// Clients that talk at each server, each by itself, so that several messages are under way.
const TALKERS: usize = 4;
const STREAMS: usize = NODES * TALKERS;

/// The servers of one test, all talking to one group.
pub(crate) struct Fleet<W = Relay> {
    kind: Kind,
    pub(crate) nodes: Vec<Node<W>>,
    /// Before and after the fault, in numbers that each client had said.
    from: Vec<u64>,
    to: Mutex<Vec<u64>>,
}

/// One server, its way to Redis, clients that talk and one that listens.
pub(crate) struct Node<W = Relay> {
    number: usize,
    pub(crate) server: Server,
    pub(crate) relay: W,
    talkers: Vec<Talker>,
    _listener: HubClient,
    heard: Arc<Heard>,
    before: Mutex<Value>,
}

/// A client that counts.
struct Talker {
    stream: usize,
    client: HubClient,
    said: AtomicU64,
    /// How often it was told that a number was not sent.
    refused: AtomicU64,
    /// The longest that it waited for an answer, in milliseconds.
    slowest: AtomicU64,
}

/// Numbers in the order of arrival, by stream.
#[derive(Default)]
struct Heard([Mutex<Vec<u64>>; STREAMS]);

/// How exact the account of losses must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Nothing may be missing.
    NoLoss,
    /// Each sender's own count bounds what is missing of it.
    BySender,
    /// The same; but a Redis that was killed may have confirmed in its last moment what it then told nobody. Each client had
    /// at most one message under way.
    BySenderAndRedis,
    /// A server that did not hear may also miss what others have sent; it must have reported that.
    ByGap,
    /// The same; but a node of a Cluster that is killed or hangs may have confirmed in its last moment what it had not handed
    /// on: that is lost, or comes late. Each client had at most one message under way.
    ByGapAndNode,
}

impl Account {
    /// How many messages of one sender the end of a server of Redis may cost beside those that are unknown.
    fn last_moment(self) -> u64 {
        match self {
            Self::BySenderAndRedis | Self::ByGapAndNode => TALKERS as u64,
            Self::NoLoss | Self::BySender | Self::ByGap => 0,
        }
    }
}

impl Fleet {
    /// Starts everything and waits until all are well. Talks for a while, so that every server knows its fleet.
    pub(crate) async fn start(redis: &Redis) -> Result<Self> {
        let starting = (0..NODES).map(|number| async move {
            let relay = Relay::start(redis.port()).await?;
            Node::start(number, relay).await
        });
        Self::of(try_join_all(starting).await?).await
    }
}

impl Fleet<()> {
    /// The same with servers that go to this Redis by themselves.
    pub(crate) async fn on(redis: &Topology) -> Result<Self> {
        let flags = redis.flags();
        let starting = (0..NODES).map(|number| Node::start_with(number, &flags, ()));
        let fleet = Self::of(try_join_all(starting).await?).await?;
        Ok(Self { kind: redis.kind(), ..fleet })
    }
}

impl<W> Fleet<W> {
    /// A fleet of servers that run already, on a single Redis.
    pub(crate) async fn of(nodes: Vec<Node<W>>) -> Result<Self> {
        let mut fleet = Self { kind: Kind::Standalone, nodes, from: Vec::new(), to: Mutex::default() };
        fleet.all_up().await?;
        // The condition is time itself: servers look once a second who is there.
        fleet.talk_during(passing(Duration::from_millis(1500))).await?;
        fleet.from = fleet.said();
        for node in &fleet.nodes {
            let now = node.backplane().await?;
            *lock(&node.before) = now;
        }
        Ok(fleet)
    }

    /// All servers talk until the fault is over and all are well again; gives the time from the end of the fault to that.
    pub(crate) async fn suffer(&self, fault: impl Future<Output = Result<()>>) -> Result<Duration> {
        let recovery = self
            .talk_during(async {
                fault.await?;
                let since = Instant::now();
                self.all_up().await?;
                Ok(since.elapsed())
            })
            .await?;
        *lock(&self.to) = self.said();
        Ok(recovery)
    }

    /// The same once more, as part of the same fault.
    pub(crate) async fn suffer_more(&self, fault: impl Future<Output = Result<()>>) -> Result<()> {
        self.suffer(fault).await.map(drop)
    }

    /// Waits until every server says that its backplane is well.
    pub(crate) async fn all_up(&self) -> Result<()> {
        for node in &self.nodes {
            node.reaches("Up").await?;
        }
        Ok(())
    }

    /// All say one more thing, which all must hear; then the books are closed and compared.
    pub(crate) async fn settle(&self, fault: &str, account: Account, recovery: Duration) -> Result<()> {
        try_join_all(self.nodes.iter().map(Node::<W>::last_words)).await?;
        for node in &self.nodes {
            for talker in self.nodes.iter().flat_map(|node| &node.talkers) {
                node.hears(talker.stream, talker.said.load(Ordering::Relaxed) - 1).await?;
            }
        }
        let mut row = FaultRow {
            kind: self.kind.name().to_owned(),
            fault: fault.to_owned(),
            recovery,
            ..FaultRow::default()
        };
        for sender in &self.nodes {
            let checked = self.check(sender, account, &mut row).await;
            checked.with_context(|| format!("{fault}, node {}", sender.number))?;
            row.gaps += u64::from(sender.gaps().await? > 0);
        }
        row.tell()
    }

    /// The books of one sending server; adds them to those of all.
    async fn check(&self, sender: &Node<W>, account: Account, row: &mut FaultRow) -> Result<()> {
        let (dropped, unknown) = (sender.grown("dropped").await?, sender.grown("unknown").await?);
        let unknown_or_last = unknown + account.last_moment();
        let may_be_late = if account == Account::ByGapAndNode { unknown_or_last } else { unknown };
        let (mut lost, mut without_gap) = (BTreeSet::new(), BTreeSet::new());
        let mut own = 0;
        for node in &self.nodes {
            let missing = self.missing(sender, node, may_be_late)?;
            if node.gaps().await? == 0 {
                without_gap.extend(missing.iter().copied());
            }
            match node.number == sender.number {
                true => own = missing.len() as u64,
                false => {
                    let all = missing.len() as u64;
                    ensure!(dropped <= all, "dropped {dropped}, and node {} lacks only {all}", node.number);
                    lost.extend(missing);
                }
            }
            row.doubled += node.doubled(sender);
            ensure!(row.doubled == 0, "{} came twice to node {}", row.doubled, node.number);
        }
        let said: u64 = sender.talkers.iter().map(|talker| talker.said.load(Ordering::Relaxed)).sum();
        let lost = lost.len() as u64;
        let line =
            format!("said {said}, lost {lost}, dropped {dropped}, unknown {unknown}, lost at home {own}");
        println!("  {}: node {}: {line}", row.fault, sender.number);
        row.said += said;
        row.lost += lost;
        row.dropped += dropped;
        row.unknown += unknown;
        match account {
            Account::NoLoss => ensure!(lost == 0 && own == 0, "something is missing: {line}"),
            Account::BySender => {
                ensure!(lost <= dropped + unknown && own <= unknown, "a loss that was not counted: {line}");
            }
            Account::BySenderAndRedis => {
                let counted = unknown_or_last;
                ensure!(lost <= dropped + counted && own <= counted, "a loss that was not counted: {line}");
            }
            Account::ByGap | Account::ByGapAndNode => {
                let missing = without_gap.len() as u64;
                let counted = dropped + unknown_or_last;
                ensure!(missing <= counted, "{missing} missing where no gap was reported: {line}");
            }
        }
        Ok(())
    }

    /// What a server did not hear of another, as stream and number. Nothing is missing that was said before the fault, or
    /// after everybody had said that all is well.
    fn missing(&self, sender: &Node<W>, at: &Node<W>, may_be_late: u64) -> Result<BTreeSet<(usize, u64)>> {
        let mut all = BTreeSet::new();
        let mut late = 0;
        for talker in &sender.talkers {
            let stream = talker.stream;
            let heard = at.heard.of(stream);
            let distinct: BTreeSet<u64> = heard.iter().copied().collect();
            let fault = self.from[stream]..lock(&self.to)[stream];
            late += late_ones(&heard).count() as u64;
            for number in (0..talker.said.load(Ordering::Relaxed)).filter(|number| !distinct.contains(number))
            {
                ensure!(
                    fault.contains(&number),
                    "node {} misses {number}, outside of the fault {fault:?}",
                    at.number
                );
                all.insert((stream, number));
            }
        }
        ensure!(late <= may_be_late, "{late} came late to {}, of which only {may_be_late} may", at.number);
        Ok(all)
    }

    /// The longest that any client waited for the answer to a send.
    pub(crate) fn slowest(&self) -> Duration {
        let talkers = self.nodes.iter().flat_map(|node| &node.talkers);
        let longest = talkers.map(|talker| talker.slowest.load(Ordering::Relaxed)).max();
        Duration::from_millis(longest.unwrap_or_default())
    }

    /// How many messages each client had said until now.
    pub(crate) fn said(&self) -> Vec<u64> {
        let mut said = vec![0; STREAMS];
        for talker in self.nodes.iter().flat_map(|node| &node.talkers) {
            said[talker.stream] = talker.said.load(Ordering::Relaxed);
        }
        said
    }

    async fn talk_during<T>(&self, what: impl Future<Output = Result<T>>) -> Result<T> {
        let (stop, stopped) = watch::channel(false);
        let talkers = self.nodes.iter().flat_map(|node| &node.talkers);
        let talking = join_all(talkers.map(|talker| talker.talk(stopped.clone())));
        let (result, _) = tokio::join!(
            async {
                let result = what.await;
                stop.send_replace(true);
                result
            },
            talking
        );
        result
    }
}

impl Node {
    /// Starts a server whose only way to Redis is this relay, and its clients.
    pub(crate) async fn start(number: usize, relay: Relay) -> Result<Self> {
        let flags = ["--redis".to_owned(), format!("redis://{}", relay.address())];
        Self::start_with(number, &flags, relay).await
    }
}

impl<W> Node<W> {
    /// Starts a server with these flags, and its clients.
    async fn start_with(number: usize, flags: &[String], relay: W) -> Result<Self> {
        let flags: Vec<&str> =
            ["--hubs", "scale"].into_iter().chain(flags.iter().map(String::as_str)).collect();
        let server = Server::start(&flags).await?;
        let heard = Arc::<Heard>::default();
        let hearing = heard.clone();
        let protocol = if number.is_multiple_of(2) { Protocol::Json } else { Protocol::MessagePack };
        let listener = HubClient::builder(server.url("/scale"))
            .protocol(protocol)
            .on("Number", move |(text,): (String,)| hearing.take(&text))
            .connect()
            .await?;
        let talkers = (0..TALKERS).map(|index| Talker::connect(&server, number * TALKERS + index));
        let talkers = try_join_all(talkers).await?;
        within("the join", listener.invoke::<()>("Join", (GROUP,))).await??;
        Ok(Self {
            number,
            server,
            relay,
            talkers,
            _listener: listener,
            heard,
            before: Mutex::new(Value::Null),
        })
    }

    /// How many messages of this sender came a second time.
    fn doubled(&self, sender: &Self) -> u64 {
        let extra = sender.talkers.iter().map(|talker| {
            let heard = self.heard.of(talker.stream);
            heard.len() - heard.iter().collect::<BTreeSet<_>>().len()
        });
        extra.sum::<usize>() as u64
    }

    async fn last_words(&self) -> Result<()> {
        for talker in &self.talkers {
            within("the last words", talker.say()).await?;
            let refused = talker.refused.load(Ordering::Relaxed);
            ensure!(refused == 0, "{refused} sends of node {} failed", self.number);
        }
        Ok(())
    }

    async fn hears(&self, stream: usize, number: u64) -> Result<()> {
        let heard = || async { Ok(self.heard.of(stream).contains(&number)) };
        eventually(&format!("the last words of {stream} at {}", self.number), heard).await
    }

    /// What the server reports of its backplane.
    pub(crate) async fn backplane(&self) -> Result<Value> {
        Ok(http::info(self.server.port()).await?["backplane"].take())
    }

    /// Waits for a state of its backplane.
    pub(crate) async fn reaches(&self, state: &str) -> Result<()> {
        let reached = || async { Ok(self.backplane().await?["state"] == state) };
        eventually(&format!("node {} to be {state}", self.number), reached).await
    }

    /// Waits until its backplane is anything but well.
    pub(crate) async fn suffers(&self) -> Result<()> {
        let suffers = || async { Ok(self.backplane().await?["state"] != "Up") };
        eventually(&format!("node {} to notice", self.number), suffers).await
    }

    /// How often its subscriber was replaced since the fault began.
    pub(crate) async fn gaps(&self) -> Result<u64> {
        self.grown("gaps").await
    }

    /// How many outages were over since the fault began.
    pub(crate) async fn outages(&self) -> Result<u64> {
        self.grown("outages").await
    }

    /// How much a count of its backplane has grown since the fault began.
    async fn grown(&self, name: &str) -> Result<u64> {
        let now = self.backplane().await?[name].as_u64();
        let before = lock(&self.before)[name].as_u64();
        Ok(now.context("no count")? - before.context("no count")?)
    }
}

impl Talker {
    async fn connect(server: &Server, stream: usize) -> Result<Self> {
        let client = HubClient::connect(server.url("/scale")).await?;
        let [said, refused, slowest] = [const { AtomicU64::new(0) }; 3];
        Ok(Self { stream, client, said, refused, slowest })
    }

    async fn talk(&self, mut stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = pace.tick() => {}
            }
            self.say().await;
        }
    }

    async fn say(&self) {
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        let text = format!("{} {number}", self.stream);
        let since = Instant::now();
        if self.client.invoke::<()>("SendGroup", (GROUP, "Number", text)).await.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let took = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(took, Ordering::Relaxed);
    }
}

impl Heard {
    fn take(&self, text: &str) {
        let mut words = text.split(' ').map(str::parse::<u64>);
        let (Some(Ok(stream)), Some(Ok(number))) = (words.next(), words.next()) else { return };
        let list = usize::try_from(stream).ok().and_then(|stream| self.0.get(stream));
        if let Some(list) = list {
            lock(list).push(number);
        }
    }

    fn of(&self, stream: usize) -> Vec<u64> {
        lock(&self.0[stream]).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The numbers that came behind greater ones.
fn late_ones(heard: &[u64]) -> impl Iterator<Item = u64> {
    let mut newest = 0;
    heard.iter().copied().filter(move |&number| {
        newest = newest.max(number);
        number < newest
    })
}

/// Lets real time pass: the length of an outage, never a wait for something to happen.
pub(crate) async fn passing(time: Duration) -> Result<()> {
    // The outage itself has this deadline.
    tokio::time::sleep(time).await;
    Ok(())
}

/// Looks again and again until the condition holds.
pub(crate) async fn eventually<F: Future<Output = Result<bool>>>(
    what: &str,
    mut holds: impl FnMut() -> F,
) -> Result<()> {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !holds().await? {
        if Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        // Between two looks at the condition.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

const GROUP: &str = "g";
/// Between two messages of one client.
const PACE: Duration = Duration::from_millis(15);
