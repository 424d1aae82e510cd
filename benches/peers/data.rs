//! Files to work with: made from numbers, the same each time.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes that do not compress, for ever.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn write(&mut self, file: &mut impl Write, bytes: u64) {
        for _ in 0..bytes / 8 {
            file.write_all(&self.next().to_le_bytes()).unwrap();
        }
        let rest = usize::try_from(bytes % 8).unwrap();
        file.write_all(&self.next().to_le_bytes()[..rest]).unwrap();
    }
}

/// Writes a file of so many bytes.
pub(crate) fn noise_file(path: &Path, seed: u64, bytes: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    Noise::new(seed).write(&mut file, bytes);
    file.flush().unwrap();
}

/// Writes a tenth of a file anew, in place.
pub(crate) fn change_tenth(path: &Path, number: u64, bytes: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let tenth = bytes / 10;
    file.seek(SeekFrom::Start(number % 10 * tenth)).unwrap();
    Noise::new(number + 1000).write(&mut file, tenth);
    file.flush().unwrap();
}

/// Bytes of a text file.
pub(crate) const TEXT_BYTES: u64 = 1024;

/// Writes `count` text files of 1 KiB, a hundred to a folder.
pub(crate) fn texts(folder: &Path, seed: u64, count: u64) {
    let mut noise = Noise::new(seed);
    for number in 0..count {
        let within = folder.join(format!("d{:04}", number / 100));
        if number.is_multiple_of(100) {
            fs::create_dir_all(&within).unwrap();
        }
        let line = |noise: &mut Noise| format!("{:016x}{:015x}\n", noise.next(), noise.next() >> 4);
        let lines = TEXT_BYTES / 32;
        let text: String = (0..lines).map(|_| line(&mut noise)).collect();
        fs::write(within.join(format!("f{number:06}.txt")), text).unwrap();
    }
}

/// Writes `count` binary files of 10 KiB, a hundred to a folder.
pub(crate) fn binaries(folder: &Path, seed: u64, count: u64) {
    for number in 0..count {
        let within = folder.join(format!("b{:04}", number / 100));
        if number.is_multiple_of(100) {
            fs::create_dir_all(&within).unwrap();
        }
        let file = within.join(format!("f{number:06}.bin"));
        noise_file(&file, seed << 32 | number, 10 << 10);
    }
}
