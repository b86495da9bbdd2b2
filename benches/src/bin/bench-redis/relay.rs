//! What two servers pay for a message that one of them sends and the clients of the other one get.
//!
//! Servers are programs that offer the hub of `bench-server`; ours is always measured, others are named on the command
//! line (`NAME=COMMAND`, in which `{port}` and `{redis}`, HOST:PORT, are filled in) and take their turns with it. A command
//! without `{redis}` is one server alone, which sends to its own clients: the floor of the same fan-out. Counted is the
//! kernel's clock of all its processes, per delivery, between two moments.

use crate::Outcome;
use crate::redis::{Redis, accepts, free_port};
use crate::stats::{cpu, median};
use signalr_client::HubClient;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const RECEIVERS: usize = 100;
const GROUP: usize = 10;
const ROUNDS: usize = 9;
const BURST: u64 = 1_000;
const SINGLE: u64 = 200;
/// A server that compiles as it runs needs some turns.
const WARM: u64 = 1_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Two servers of a kind on one Redis, or one alone.
struct Pair {
    name: String,
    servers: Vec<Child>,
    sender: HubClient,
    receivers: Vec<HubClient>,
    got: Arc<Got>,
    measured: [Vec<f64>; 3],
    _redis: Redis,
}

#[derive(Default)]
struct Got {
    count: AtomicU64,
    more: Notify,
}

/// How messages are sent.
#[derive(Clone, Copy)]
enum Way {
    Burst,
    Groups,
    Single,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Burst, "burst to 100"),
    (Way::Groups, "groups of 10, one at a time"),
    (Way::Single, "one at a time to 100"),
];

pub(crate) async fn run(others: &[String]) -> Outcome {
    let own = std::env::current_exe()?.with_file_name("bench-server");
    let ours = format!(
        "ours={} --port {{port}} --threads 1 --redis redis://{{redis}}{}",
        own.display(),
        crate::redis::options()
    );
    let mut pairs = Vec::new();
    for server in std::iter::once(&ours).chain(others) {
        pairs.push(Pair::start(server).await?);
    }
    for _ in 0..ROUNDS {
        for pair in &mut pairs {
            for (place, (way, _)) in WAYS.into_iter().enumerate() {
                let cost = pair.measure(way).await?;
                pair.measured[place].push(cost);
            }
        }
    }
    for (place, (_, title)) in WAYS.into_iter().enumerate() {
        let ours = median(&pairs[0].measured[place]);
        for pair in &pairs {
            let cost = median(&pair.measured[place]);
            println!("{title}: {} {cost:.2} us per delivery, ours is {:.2} of it", pair.name, ours / cost);
        }
    }
    Ok(())
}

impl Pair {
    async fn start(server: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (name, command) = server.split_once('=').ok_or("a server is written NAME=COMMAND")?;
        // One each: hubs of the same name would hear one another.
        let redis = Redis::start()?;
        let first = free_port()?;
        let last = if command.contains("{redis}") { free_port()? } else { first };
        let mut servers = vec![launch(command, first, redis.port())?];
        if last != first {
            servers.push(launch(command, last, redis.port())?);
        }
        accepts(first)?;
        accepts(last)?;
        let url = |port| format!("http://127.0.0.1:{port}/bench");
        let got = Arc::<Got>::default();
        let mut receivers = Vec::new();
        for _ in 0..RECEIVERS {
            let got = got.clone();
            let builder = HubClient::builder(url(last)).on("ReceiveMessage", move |_: (String,)| {
                got.count.fetch_add(1, Ordering::Relaxed);
                got.more.notify_one();
            });
            receivers.push(builder.connect().await?);
        }
        for (number, receiver) in receivers.iter().enumerate() {
            receiver.invoke::<()>("JoinGroup", (format!("group-{}", number / GROUP),)).await?;
        }
        let sender = HubClient::connect(url(first)).await?;
        let pair = Self {
            name: name.to_owned(),
            servers,
            sender,
            receivers,
            got,
            measured: Default::default(),
            _redis: redis,
        };
        pair.send(Way::Burst, WARM).await?;
        pair.send(Way::Groups, WARM).await?;
        pair.send(Way::Single, WARM / 4).await?;
        Ok(pair)
    }

    /// Microseconds of all its servers per delivery.
    async fn measure(&self, way: Way) -> Result<f64, Box<dyn std::error::Error>> {
        let count = match way {
            Way::Burst => BURST,
            Way::Groups | Way::Single => SINGLE,
        };
        let before = self.cpu()?;
        let delivered = self.send(way, count).await?;
        Ok((self.cpu()? - before).as_secs_f64() * 1e6 / delivered as f64)
    }

    fn cpu(&self) -> std::io::Result<Duration> {
        self.servers.iter().map(|server| cpu(server.id())).sum()
    }

    /// Sends, and waits until all have got it; says how many deliveries that was.
    async fn send(&self, way: Way, count: u64) -> Result<u64, Box<dyn std::error::Error>> {
        let text = "x".repeat(128);
        let each = if matches!(way, Way::Groups) { GROUP } else { self.receivers.len() } as u64;
        let start = self.got.count.load(Ordering::Relaxed);
        for number in 0..count {
            match way {
                Way::Groups => {
                    let group = format!("group-{}", number as usize % (RECEIVERS / GROUP));
                    self.sender.send("SendToGroup", (group, &text)).await?;
                }
                Way::Burst | Way::Single => self.sender.send("Broadcast", (&text,)).await?,
            }
            if !matches!(way, Way::Burst) {
                self.reaches(start + (number + 1) * each).await?;
            }
        }
        self.reaches(start + count * each).await?;
        Ok(count * each)
    }

    async fn reaches(&self, count: u64) -> Outcome {
        let wait = async {
            while self.got.count.load(Ordering::Relaxed) < count {
                self.got.more.notified().await;
            }
        };
        let late = format!("{}: deliveries are missing", self.name);
        tokio::time::timeout(LIMIT, wait).await.map_err(|_| late.into())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // It may be gone already.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn launch(command: &str, port: u16, redis: u16) -> std::io::Result<Child> {
    let command =
        command.replace("{port}", &port.to_string()).replace("{redis}", &format!("127.0.0.1:{redis}"));
    let mut words = command.split_whitespace();
    let mut program = Command::new(words.next().unwrap_or_default());
    program.args(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}
