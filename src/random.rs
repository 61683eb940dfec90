//! Randomness from the operating system.

use std::io::Read;

/// 128 unpredictable bits.
pub fn bits() -> u128 {
    let mut bytes = [0u8; 16];
    match std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)) {
        Ok(()) => u128::from_le_bytes(bytes),
        // No such device: the standard library's hash seeds come from the system as well.
        Err(_) => {
            use std::hash::{BuildHasher, RandomState};
            let half = || u128::from(RandomState::new().hash_one(0u8));
            half() << 64 | half()
        }
    }
}
