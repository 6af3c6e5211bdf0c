//! How the log lies in sled: one tree, three kinds of keys.
//!
//! | key | value |
//! | --- | --- |
//! | `e`, partition, 0, position (8 bytes), piece (2 bytes) | a piece of an event's record |
//! | `h`, chain | position and hash of the chain's newest event |
//! | `i`, event id | position and hash of the event |
//!
//! A record is a version byte, the envelope's hash, the envelope's length and the envelope. It is cut into pieces of
//! 4 KiB: sled would write large pages into files of their own, outside the file that we make durable.

use crate::{Head, Recorded};
use nightshift_domain::{Chain, Partition};
use nightshift_protocol::envelope::{Envelope, Hash};
use uuid::Uuid;

const VERSION: u8 = 1;
const PIECE: usize = 4_096;
/// Version, hash, length.
const HEADER: usize = 1 + 32 + 4;

pub(super) const EVENTS: &[u8] = b"e";
pub(super) const HEADS: &[u8] = b"h";
pub(super) const IDS: &[u8] = b"i";

pub(super) fn head_key(chain: &Chain) -> Vec<u8> {
    [HEADS, chain.to_string().as_bytes()].concat()
}

pub(super) fn id_key(id: &str) -> Vec<u8> {
    match Uuid::try_parse(id) {
        Ok(uuid) => [IDS, uuid.as_bytes()].concat(),
        Err(_) => [IDS, id.as_bytes()].concat(),
    }
}

/// All events of a partition begin with this.
pub(super) fn partition_prefix(partition: &Partition) -> Vec<u8> {
    [EVENTS, partition.to_string().as_bytes(), &[0]].concat()
}

/// The first piece of the event at this position, or where it would be.
pub(super) fn event_key(prefix: &[u8], position: u64) -> Vec<u8> {
    piece_key(prefix, position, 0)
}

fn piece_key(prefix: &[u8], position: u64, piece: u16) -> Vec<u8> {
    [prefix, &position.to_be_bytes(), &piece.to_be_bytes()].concat()
}

/// What a key of an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: Partition,
    pub(super) position: u64,
    piece: u16,
}

/// Where a key of an event points to.
pub(super) fn place(key: &[u8]) -> Option<Place> {
    let rest = key.strip_prefix(EVENTS)?;
    let (name, numbers) = rest.split_at_checked(rest.len().checked_sub(1 + 8 + 2)?)?;
    let (separator, numbers) = numbers.split_at_checked(1)?;
    let (position, piece) = numbers.split_at_checked(8)?;
    if separator != [0] {
        return None;
    }
    Some(Place {
        partition: std::str::from_utf8(name).ok()?.parse().ok()?,
        position: u64::from_be_bytes(position.try_into().ok()?),
        piece: u16::from_be_bytes(piece.try_into().ok()?),
    })
}

pub(super) fn encode_head(head: &Head) -> Vec<u8> {
    [&head.position.to_be_bytes()[..], &head.hash].concat()
}

pub(super) fn decode_head(bytes: &[u8]) -> Option<Head> {
    let (position, hash) = bytes.split_at_checked(8)?;
    Some(Head { position: u64::from_be_bytes(position.try_into().ok()?), hash: hash.try_into().ok()? })
}

/// Key and value of each piece of an event's record.
pub(super) fn pieces(
    prefix: &[u8],
    position: u64,
    envelope: &Envelope,
    hash: &Hash,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let encoded = envelope.encode();
    let length = (encoded.len() as u32).to_be_bytes();
    let record = [&[VERSION][..], hash, &length, &encoded].concat();
    let piece =
        |(number, bytes): (usize, &[u8])| (piece_key(prefix, position, number as u16), bytes.to_vec());
    record.chunks(PIECE).enumerate().map(piece).collect()
}

/// Puts records together again from their pieces, which come in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    record: Vec<u8>,
    pieces: u16,
}

impl Assembly {
    /// Takes the next piece; returns the event and its hash when it is complete.
    pub(super) fn push(&mut self, place: &Place, bytes: &[u8]) -> Result<Option<(Recorded, Hash)>, String> {
        if place.piece != self.pieces {
            return Err(format!("piece {} of the event is missing", self.pieces));
        }
        self.record.extend_from_slice(bytes);
        self.pieces += 1;
        let (version, rest) = self.record.split_first().ok_or("an empty record")?;
        if *version != VERSION {
            return Err(format!("a record of version {version}, which this Nightshift does not know"));
        }
        let (hash, rest) = rest.split_first_chunk::<32>().ok_or("a record that is cut short")?;
        let (length, encoded) = rest.split_first_chunk::<4>().ok_or("a record that is cut short")?;
        let whole = u32::from_be_bytes(*length) as usize;
        if encoded.len() < whole && bytes.len() == PIECE {
            return Ok(None);
        }
        if encoded.len() != whole {
            return Err(format!("{} bytes instead of {whole}", encoded.len()));
        }
        let envelope = Envelope::decode(encoded).map_err(|error| error.to_string())?;
        if envelope.hash() != *hash {
            return Err("the event does not have the hash with which it was written".into());
        }
        let event = (Recorded { position: place.position, envelope }, *hash);
        self.record.clear();
        self.pieces = 0;
        Ok(Some(event))
    }

    /// Whether an event is only half read.
    pub(super) fn is_open(&self) -> bool {
        self.pieces > 0
    }
}

// A header must fit into the first piece.
const _: () = assert!(HEADER < PIECE);

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use nightshift_domain::{Event, RolloutId};

    fn envelope(why: &str) -> Envelope {
        let rollout = RolloutId::new("r-1").unwrap();
        let event = Event::RunHeld { rollout, stops: 1, why: why.into() };
        let partition = "region.west".parse().unwrap();
        Envelope::seal(Uuid::new_v4(), "test", &partition, DateTime::UNIX_EPOCH, &event, None, [7; 32])
    }

    fn assemble(pieces: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<(Recorded, Hash)>, String> {
        let mut assembly = Assembly::default();
        let mut last = None;
        for (key, value) in pieces {
            last = assembly.push(&place(key).unwrap(), value)?;
        }
        Ok(last)
    }

    #[test]
    fn a_record_of_any_length_comes_back() {
        let prefix = partition_prefix(&"region.west".parse().unwrap());
        for length in [0, 1, 3_000, PIECE - 260, PIECE, 2 * PIECE, 100_000] {
            let envelope = envelope(&"x".repeat(length));
            let pieces = pieces(&prefix, 258, &envelope, &envelope.hash());
            let (recorded, hash) = assemble(&pieces).unwrap().unwrap();
            assert_eq!((recorded.position, &recorded.envelope, hash), (258, &envelope, envelope.hash()));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_lost_piece_is_noticed() {
        let prefix = partition_prefix(&"fleet".parse().unwrap());
        let envelope = envelope(&"x".repeat(PIECE));
        let whole = pieces(&prefix, 1, &envelope, &envelope.hash());
        for (piece, (_, value)) in whole.iter().enumerate() {
            for byte in 0..value.len() {
                let mut damaged = whole.clone();
                damaged[piece].1[byte] ^= 1 << (byte % 8);
                assert!(!matches!(assemble(&damaged), Ok(Some(_))), "piece {piece}, byte {byte}");
            }
            let mut lost = whole.clone();
            lost.remove(piece);
            assert!(!matches!(assemble(&lost), Ok(Some(_))), "piece {piece} lost");
        }
    }
}
