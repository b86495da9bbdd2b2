//! What a group costs a server in memory: one whose last member has left, and one with a member and its subscription.
//!
//! Counted in resident pages of this process, the allocator's own bytes included. What the allocator keeps for the next
//! groups is not held for the old ones: those are measured by how much further rounds of other groups add. The groups are
//! joined and left through a real client of a real server, as a hub does it.

use crate::Outcome;
use crate::redis::Redis;
use crate::stats::resident;
use signalr::prelude::*;
use signalr::warp::Serving;
use signalr_backplane_redis::RedisBackplane;
use signalr_client::HubClient;

const GROUPS: u64 = 100_000;
const ROUNDS: u64 = 4;

struct Rooms;

#[hub]
impl Rooms {
    async fn enter(&self, cx: &Context, from: u64, to: u64) -> HubResult<()> {
        for number in from..to {
            cx.groups().add(format!("room-{number}")).await?;
        }
        Ok(())
    }

    async fn leave(&self, cx: &Context, from: u64, to: u64) -> HubResult<()> {
        for number in from..to {
            cx.groups().remove(format!("room-{number}")).await?;
        }
        Ok(())
    }
}

pub(crate) async fn run() -> Outcome {
    let redis = Redis::start()?;
    let backplane = RedisBackplane::connect(&redis.url()).await?;
    let server = SignalR::builder().hub("/rooms", Rooms).backplane(backplane).build().await?;
    let serving = Serving::bind(server, ([127, 0, 0, 1], 0)).await?;
    let url = format!("http://{}/rooms", serving.local_addr());
    let serving = tokio::spawn(serving.run());
    let client = HubClient::connect(url).await?;
    // Buffers grow to their size before anything is counted.
    enter_and_leave(&client, 0, 2_000).await?;
    let before = resident()?;
    ask(&client, "Enter", 0, GROUPS).await?;
    let full = resident()?;
    ask(&client, "Leave", 0, GROUPS).await?;
    let empty = resident()?;
    for round in 1..=ROUNDS {
        enter_and_leave(&client, round * GROUPS, (round + 1) * GROUPS).await?;
    }
    let more = resident()?;
    println!("{} bytes per group with one member here, subscription included", per_group(before, full));
    println!("{} bytes per group stay with the allocator after the first round", per_group(before, empty));
    let left = per_group(empty, more) / ROUNDS;
    println!("{left} bytes per group that nobody here is a member of any more (goal 300)");
    client.stop().await;
    serving.abort();
    Ok(())
}

async fn enter_and_leave(client: &HubClient, from: u64, to: u64) -> Outcome {
    ask(client, "Enter", from, to).await?;
    ask(client, "Leave", from, to).await
}

/// In calls that are short on a busy machine too.
async fn ask(client: &HubClient, method: &str, from: u64, to: u64) -> Outcome {
    for start in (from..to).step_by(1_000) {
        client.invoke::<()>(method, (start, to.min(start + 1_000))).await?;
    }
    Ok(())
}

fn per_group(before: u64, after: u64) -> u64 {
    after.saturating_sub(before) / GROUPS
}
