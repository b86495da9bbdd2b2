//! Asks several servers at once and takes the answers that come in time.
//!
//! Owns the waiting: a server that is dead must not hold up the others, a slow one may answer a little later than the
//! first. Pure in what it asks.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long the others have after the first answer.
const GRACE: Duration = Duration::from_millis(500);

/// Polls all futures until each has ended, or [`GRACE`] after the first success; with `one`, until the best success is
/// certain: all before it have failed. Successes come in the order of the futures, then the failures.
pub(super) async fn gather<T, E>(
    futures: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
    one: bool,
) -> (Vec<T>, Vec<E>) {
    let numbered = futures.enumerate().map(|(place, future)| async move { (place, future.await) });
    let mut running: FuturesUnordered<_> = numbered.collect();
    let mut open: std::collections::BTreeSet<usize> = (0..running.len()).collect();
    let (mut found, mut failed) = (BTreeMap::new(), Vec::new());
    let mut deadline = None;
    loop {
        let grace = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            next = running.next() => match next {
                None => break,
                Some((place, Ok(answer))) => {
                    open.remove(&place);
                    found.insert(place, answer);
                    deadline.get_or_insert_with(|| Instant::now() + GRACE);
                }
                Some((place, Err(error))) => {
                    open.remove(&place);
                    failed.push(error);
                }
            },
            () = grace => break,
        }
        let best = found.keys().next();
        if one && best.is_some_and(|best| open.first().is_none_or(|first| first > best)) {
            break;
        }
    }
    (found.into_values().collect(), failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(millis: u64, answer: Result<u64, u64>) -> Result<u64, u64> {
        tokio::time::timeout(Duration::from_millis(millis), std::future::pending::<()>()).await.ok();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_in_the_list_is_preferred_when_it_answers_soon() {
        let since = Instant::now();
        let asked = [after(300, Ok(1)), after(0, Ok(2)), after(60_000, Ok(3))];
        assert_eq!(gather(asked.into_iter(), true).await.0.first(), Some(&1));
        assert_eq!(since.elapsed(), Duration::from_millis(300), "the third cannot change anything");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_one_holds_up_nobody() {
        let since = Instant::now();
        let asked = [after(60_000, Ok(1)), after(100, Ok(2)), after(200, Err(3)), after(300, Ok(4))];
        assert_eq!(gather(asked.into_iter(), false).await, (vec![2, 4], vec![3]));
        assert_eq!(since.elapsed(), Duration::from_millis(600));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_success_all_are_waited_for() {
        let asked = [after(1, Err(1)), after(5_000, Err(2))];
        assert_eq!(gather(asked.into_iter(), true).await, (vec![], vec![1, 2]));
    }
}
