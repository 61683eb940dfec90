//! Watcher: wakes when something changes in one of the watched folders.

use std::io;

/// Watches folders; what changed is not told, only that something did.
pub use imp::Watcher;

#[cfg(target_os = "linux")]
mod imp {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use tokio::net::unix::pipe::Receiver;

    use super::io;

    /// An inotify instance.
    pub struct Watcher {
        /// Not a pipe, but read like one: the runtime waits for it to be readable.
        events: Receiver,
    }

    impl Watcher {
        /// A watcher of nothing. Must be called on a tokio runtime.
        pub fn new() -> io::Result<Watcher> {
            let fd = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            Ok(Watcher { events: Receiver::from_owned_fd_unchecked(fd)? })
        }

        /// Watches a folder too; watching one twice changes nothing.
        pub fn add(&self, dir: &str) -> io::Result<()> {
            let flags = WatchFlags::CREATE
                | WatchFlags::MODIFY
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::DELETE
                | WatchFlags::MOVE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF;
            add_watch(&self.events, dir, flags)?;
            Ok(())
        }

        /// Waits until something changes, then forgets all that changed so far.
        pub async fn changed(&self) -> io::Result<()> {
            loop {
                self.events.readable().await?;
                if self.drain()? {
                    return Ok(());
                }
            }
        }

        /// Reads all events there are; whether there were any.
        pub fn drain(&self) -> io::Result<bool> {
            let mut buffer = [0u8; 4096];
            let mut any = false;
            loop {
                match self.events.try_read(&mut buffer) {
                    Ok(0) => return Ok(any),
                    Ok(_) => any = true,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::time::Duration;

    use super::io;

    /// Where the system does not tell: look every few seconds.
    pub struct Watcher;

    impl Watcher {
        /// A watcher.
        pub fn new() -> io::Result<Watcher> {
            Ok(Watcher)
        }

        /// Nothing to set up.
        pub fn add(&self, _dir: &str) -> io::Result<()> {
            Ok(())
        }

        /// Waits for the next look.
        pub async fn changed(&self) -> io::Result<()> {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        }

        /// There are no events.
        pub fn drain(&self) -> io::Result<bool> {
            Ok(false)
        }
    }
}
