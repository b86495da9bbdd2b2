//! Rules about client results across servers.

use super::fleet::{Fleet, Verdict, Violation, ensure, same};
use super::servers::{Server, servers};
use crate::client::TestClient;
use signalr_core::{ConnectionId, InvokeError, RawResult, Target, WorkEnd};
use signalr_protocol::{Payload, Protocol};
use std::collections::HashSet;

fn value<T: serde::de::DeserializeOwned>(result: &RawResult) -> Result<T, Violation> {
    let bytes = result.value.as_ref().ok_or_else(|| Violation::new("the result has no value"))?;
    Ok(Payload::new(result.protocol, bytes).decode()?)
}

/// Reads a question and gives its id and argument.
async fn question(client: &mut TestClient) -> Result<(String, i32), Violation> {
    let call = client.next_invocation().await?;
    same("the question", call.target.as_str(), "Ask")?;
    let (argument,) = call.arguments()?;
    let id = call.invocation_id.ok_or_else(|| Violation::new("the question has no id"))?;
    Ok((id, argument))
}

async fn ask(server: &Server, id: &ConnectionId, argument: i32) -> Result<RawResult, InvokeError> {
    server.manager.invoke(id, "Ask", &(argument,)).await
}

/// A client's answer comes back to the server that asked, in either protocol; locally too.
pub async fn a_client_result_crosses_servers(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    for mut client in b.pair().await? {
        let id = client.id().clone();
        for server in [&a, &b] {
            let answer = async {
                let (id, argument) = question(&mut client).await?;
                client.answer(&id, &format!("answer {argument}"))?;
                Ok::<_, Violation>(())
            };
            let (result, answered) = tokio::join!(ask(server, &id, 42), answer);
            answered?;
            let result = result?;
            same("the error", result.error.as_deref(), None)?;
            same("the answer", value::<String>(&result)?, "answer 42".to_owned())?;
        }
    }
    Ok(())
}

/// A client's error comes back to the server that asked.
pub async fn a_client_error_crosses_servers(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    for mut client in b.pair().await? {
        let id = client.id().clone();
        let answer = async {
            let (id, _) = question(&mut client).await?;
            client.answer_error(&id, "no idea")?;
            Ok::<_, Violation>(())
        };
        let (result, answered) = tokio::join!(ask(&a, &id, 1), answer);
        answered?;
        same("the error", result?.error.as_deref(), Some("no idea"))?;
    }
    Ok(())
}

/// When the client goes before it answers, the server that asked is told soon.
pub async fn a_disconnect_fails_the_question(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [json, msgpack] = b.pair().await?;
    for (server, mut client) in [(&a, json), (&b, msgpack)] {
        let id = client.id().clone();
        let leave = async {
            question(&mut client).await?;
            client.close();
            Ok::<_, Violation>(())
        };
        let (result, left) = tokio::join!(ask(server, &id, 1), leave);
        left?;
        let told = match &result {
            Err(InvokeError::Disconnected(gone)) => *gone == id,
            Ok(result) => result.error.as_deref() == Some("Connection disconnected."),
            Err(_) => false,
        };
        ensure(told, format_args!("a question to a client that left gave {result:?}"))?;
    }
    Ok(())
}

/// A question to a connection that nobody has fails, and at once when the backplane can count receivers.
pub async fn asking_an_unknown_connection_fails_soon(fleet: &dyn Fleet) -> Verdict {
    let (a, _b) = servers(fleet).await?;
    let result = ask(&a, &ConnectionId::from("nobody"), 1).await;
    let expected = match &result {
        Err(InvokeError::NotFound(id)) => id.as_str() == "nobody",
        Err(InvokeError::TimedOut(_)) => !fleet.counts_receivers(),
        _ => false,
    };
    ensure(expected, format_args!("a question to nobody gave {result:?}"))
}

/// Two servers ask two clients many questions at once: ids are unique, and each answer finds its question.
pub async fn questions_of_several_servers_do_not_collide(fleet: &dyn Fleet) -> Verdict {
    const EACH: i32 = 25;
    let (a, b) = servers(fleet).await?;
    let clients = b.pair().await?;
    let mut asked = Vec::new();
    for client in &clients {
        for number in 0..EACH {
            for (server, offset) in [(&a, 0), (&b, 1000)] {
                let (manager, id) = (server.manager.clone(), client.id().clone());
                asked.push(tokio::spawn(async move {
                    let argument = number + offset;
                    (argument, manager.invoke(&id, "Ask", &(argument,)).await)
                }));
            }
        }
    }
    let mut ids = HashSet::new();
    for mut client in clients {
        let mut questions = Vec::new();
        for _ in 0..2 * EACH {
            questions.push(question(&mut client).await?);
        }
        // Answered in another order than asked.
        for (id, argument) in questions.into_iter().rev() {
            client.answer(&id, &(argument * 2))?;
            ids.insert(id);
        }
        tokio::spawn(async move { client.ended().await });
    }
    same("different ids", ids.len() as i32, 4 * EACH)?;
    for task in asked {
        let (argument, result) = task.await.map_err(Violation::new)?;
        same("the answer", value::<i32>(&result?)?, argument * 2)?;
    }
    Ok(())
}

/// A client that answers another's question is cut; the right one can still answer.
pub async fn a_wrong_client_cannot_answer(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let [mut asked, mut wrong] = b.pair().await?;
    let id = asked.id().clone();
    let answers = async {
        let (question, _) = question(&mut asked).await?;
        wrong.answer(&question, &"wrong")?;
        same("how the wrong client ended", wrong.ended().await?, WorkEnd::Failed)?;
        asked.answer(&question, &"right")?;
        Ok::<_, Violation>(())
    };
    let (result, answered) = tokio::join!(ask(&a, &id, 1), answers);
    answered?;
    same("the answer", value::<String>(&result?)?, "right".to_owned())
}

/// A question that nobody waits for any more, here or on another server, does no harm: a late answer is ignored.
pub async fn a_dropped_question_is_forgotten(fleet: &dyn Fleet) -> Verdict {
    let (a, b) = servers(fleet).await?;
    let mut client = b.client(Protocol::Json, None).await?;
    for asker in [&a, &b] {
        forgets(asker, &mut client).await?;
    }
    a.send(Target::Connection(client.id().clone()), "x").await?;
    same("what follows", client.expect::<(String,)>("Text").await?.0.as_str(), "x")
}

async fn forgets(asker: &Server, client: &mut TestClient) -> Verdict {
    let id = client.id().clone();
    let manager = asker.manager.clone();
    let asked = id.clone();
    let task = tokio::spawn(async move { manager.invoke(&asked, "Ask", &(1,)).await });
    let (late, _) = question(client).await?;
    task.abort();
    ensure(task.await.is_err(), "the question was answered by nobody")?;
    client.answer(&late, &"late")?;
    // The next question is answered properly.
    let answer = async {
        let (next, argument) = question(client).await?;
        client.answer(&next, &argument)?;
        Ok::<_, Violation>(())
    };
    let (result, answered) = tokio::join!(ask(asker, &id, 2), answer);
    answered?;
    same("the answer", value::<i32>(&result?)?, 2)
}
