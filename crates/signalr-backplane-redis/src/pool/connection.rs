//! A pooled connection as users hold it.
//!
//! Owns what is done about answers that say that another server is to be asked: a replica's, and in a Cluster those of a node
//! that does not own a key. Where connections come from is the pool's.

use super::nodes::Nodes;
use super::redirect::{Redirect, is_misled};
use super::{Served, dialled};
use crate::route::Route;
use crate::settings::Address;
use deadpool::managed::Object;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A connection of a [`RedisPool`](super::RedisPool), which gets it back when this is dropped. Takes commands of the `redis` crate, each of
/// which is given the async time-out of the options.
///
/// With Sentinel or several endpoints an answer that only a replica gives (`READONLY`, `MASTERDOWN`) makes the backplane
/// look for the primary at once. In a Cluster a command whose key belongs to another node (`MOVED`, `ASK`) is sent there, and
/// this value stays with the node that `MOVED` has named; so does a pipeline, if nothing of it was done. Both as far as
/// commands are sent on this value and not on a clone of what it derefs to.
pub struct PooledConnection {
    held: Held,
    served: Arc<Served>,
    route: Arc<Route>,
    address: Address,
}

pub(super) enum Held {
    Standard(deadpool_redis::Connection),
    // The object is what goes back to the pool.
    Dialled(
        MultiplexedConnection,
        #[expect(dead_code, reason = "kept for its drop")] Object<dialled::Manager>,
    ),
}

impl PooledConnection {
    pub(super) fn new(held: Held, address: Address, served: Arc<Served>, route: Arc<Route>) -> Self {
        Self { held, served, route, address }
    }

    fn heed(&self, code: Option<&str>) {
        if code.is_some_and(|code| OF_REPLICAS.contains(&code)) {
            self.route.doubt(&self.address);
        }
    }

    /// Whatever a node of a Cluster answers, the node that it points to is asked.
    async fn redirected(&mut self, command: &Cmd, mut answer: RedisResult<Value>) -> RedisResult<Value> {
        let served = self.served.clone();
        let Served::Cluster(nodes) = &*served else { return answer };
        for _ in 0..REDIRECTIONS {
            let Some(redirect) = Redirect::read(&answer, &self.address) else { break };
            // Where nobody can be reached the answer has to do.
            let Some((mut held, address)) = reach(nodes, redirect.address()).await else { break };
            answer = match (redirect, nodes.asking()) {
                (Redirect::Moved(_), _) => {
                    (self.held, self.address) = (held, address);
                    (**self).req_packed_command(command).await
                }
                (Redirect::Ask(_), Some(asking)) => ask(&mut held, asking, command).await,
                (Redirect::Ask(_), None) => break,
            };
        }
        answer
    }

    /// A pipeline of which nothing was done is sent to the node that all answers point to.
    async fn moved(
        &mut self,
        commands: &Pipeline,
        (offset, count): (usize, usize),
        answer: RedisResult<Vec<Value>>,
    ) -> RedisResult<Vec<Value>> {
        let served = self.served.clone();
        let (Served::Cluster(nodes), true) = (&*served, is_misled(&answer)) else { return answer };
        if let Some(Redirect::Moved(address)) = Redirect::read_all(&answer, &self.address)
            && let Some(connection) = reach(nodes, &address).await
        {
            (self.held, self.address) = connection;
            return (**self).req_packed_commands(commands, offset, count).await;
        }
        nodes.look_again().await;
        answer
    }
}

async fn reach(nodes: &Nodes, address: &Address) -> Option<(Held, Address)> {
    let reached = nodes.at(address).await;
    reached.inspect_err(|error| tracing::debug!(%error, "a redirection leads nowhere")).ok()
}

/// Sends a command to a node that a slot is on its way to.
async fn ask(held: &mut Held, asking: Cmd, command: &Cmd) -> RedisResult<Value> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.add_command(asking).add_command(command.clone());
    let mut answers = held.conn().req_packed_commands(&pipeline, 1, 1).await?;
    Ok(answers.pop().unwrap_or(Value::Nil))
}

impl Held {
    fn conn(&mut self) -> &mut MultiplexedConnection {
        match self {
            Self::Standard(conn) => conn,
            Self::Dialled(conn, _) => conn,
        }
    }
}

impl Deref for PooledConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        match &self.held {
            Held::Standard(conn) => conn,
            Held::Dialled(conn, _) => conn,
        }
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        self.held.conn()
    }
}

impl ConnectionLike for PooledConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let answer = (**self).req_packed_command(command).await;
            let answer = self.redirected(command, answer).await;
            match &answer {
                Ok(value) => self.heed(refusal(value)),
                Err(error) => self.heed(error.code()),
            }
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let answer = (**self).req_packed_commands(commands, offset, count).await;
            let answer = self.moved(commands, (offset, count), answer).await;
            match &answer {
                Ok(values) => values.iter().for_each(|value| self.heed(refusal(value))),
                Err(error) => self.heed(error.code()),
            }
            answer
        })
    }

    fn get_db(&self) -> i64 {
        (**self).get_db()
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").finish_non_exhaustive()
    }
}

fn refusal(value: &Value) -> Option<&str> {
    match value {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

/// So many nodes may send a command on to the next one.
const REDIRECTIONS: usize = 5;

/// Codes of answers that a primary never gives.
const OF_REPLICAS: [&str; 2] = ["READONLY", "MASTERDOWN"];
