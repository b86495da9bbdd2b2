//! Signals to processes that a test has started.
//!
//! Owns nothing: callers know the process ids.

use anyhow::{Result, ensure};
use tokio::process::Command;

/// Sends a signal (`STOP`, `CONT`) to one process.
///
/// # Errors
/// There is no such process.
pub async fn signal(pid: u32, name: &str) -> Result<()> {
    // By the shell, because a minimal system has no kill program.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}
