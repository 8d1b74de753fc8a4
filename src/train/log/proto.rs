//! The few protocol buffers that TensorBoard needs: Event, Summary, SessionLog.
//!
//! Fields in the order of their numbers and without defaults, as every protobuf library writes
//! them, so that bytes can be compared. Field numbers are those of `event.proto`, `summary.proto`
//! and `tensor.proto`:
//! <https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto>.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// `DT_STRING` of `types.proto`.
const STRING_TENSOR: u64 = 7;

/// `START` of `SessionLog.SessionStatus`.
const SESSION_START: u64 = 1;

/// A message while it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.key(field, VARINT);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.key(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn message(self, field: u64, value: Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }
}

/// What all events have. A step of 0 is the default and not written.
fn event(step: u64, time: f64) -> Message {
    let event = Message::default().double(1, time);
    if step == 0 { event } else { event.number(2, step) }
}

/// The first event of every file: `brain.Event:2`.
pub(super) fn version(time: f64) -> Vec<u8> {
    event(0, time).bytes(3, b"brain.Event:2").0
}

/// The start of a session: readers drop what was written of `step` and later ones before.
pub(super) fn session(step: u64, time: f64) -> Vec<u8> {
    event(step, time).message(7, Message::default().number(1, SESSION_START)).0
}

/// Values of a step, one point of a curve each.
pub(super) fn scalars(step: u64, time: f64, values: &[(&str, f64)]) -> Vec<u8> {
    let summary = values.iter().fold(Message::default(), |summary, (tag, value)| {
        let value = Message::default().bytes(1, tag.as_bytes()).float(2, *value as f32);
        summary.message(1, value)
    });
    event(step, time).message(5, summary).0
}

/// A text, shown as Markdown.
pub(super) fn text(step: u64, time: f64, tag: &str, text: &str) -> Vec<u8> {
    let one = Message::default().message(2, Message::default().number(1, 1));
    let tensor = Message::default().number(1, STRING_TENSOR).message(2, one);
    let tensor = tensor.bytes(8, text.as_bytes());
    let plugin = Message::default().bytes(1, b"text");
    let metadata = Message::default().message(1, plugin);
    let value = Message::default().bytes(1, tag.as_bytes()).message(8, tensor);
    let summary = Message::default().message(1, value.message(9, metadata));
    event(step, time).message(5, summary).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the encoding's own description: 150 is `96 01`.
    #[test]
    fn numbers_are_written_seven_bits_at_a_time() {
        assert_eq!(Message::default().number(1, 150).0, [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().bytes(2, b"testing").0, b"\x12\x07testing");
        assert_eq!(Message::default().number(1, u64::MAX).0.len(), 11);
    }
}
