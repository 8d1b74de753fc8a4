//! Bodies as servers want them, answers as servers give them.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::hostile;
use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn texts() -> Vec<Piece> {
    vec![Piece::Text("a \"boat\"".into()), Piece::Text("a bridge".into())]
}

fn images() -> Vec<Piece> {
    vec![Piece::Image { mime: "image/png", bytes: Bytes::from_static(b"png") }]
}

fn sent(inputs: &[Piece], images: EmbedImages) -> Value {
    serde_json::from_slice(&body(inputs, "m", images)).unwrap()
}

fn of(status: u16, body: &Value) -> Result<Answer, Trouble> {
    read(status, &HeaderMap::new(), body.to_string().as_bytes(), Theirs(&[]), NOW)
}

fn vectors(answer: Result<Answer, Trouble>) -> Vec<Vec<f32>> {
    let Ok(Answer::Said { text, .. }) = answer else { panic!("{answer:?}") };
    text.lines().map(|line| read_vector(line).unwrap()).collect()
}

#[test]
fn texts_go_as_strings_and_images_as_the_server_wants_them() {
    let expected = json!({ "model": "m", "input": ["a \"boat\"", "a bridge"] });
    for images in [EmbedImages::Infinity, EmbedImages::Messages, EmbedImages::None] {
        assert_eq!(sent(&texts(), images), expected);
    }
    let url = "data:image/png;base64,cG5n";
    let infinity = json!({ "model": "m", "input": [url], "modality": "image" });
    assert_eq!(sent(&images(), EmbedImages::Infinity), infinity);
    let content = json!([{ "type": "image_url", "image_url": { "url": url } }]);
    let messages = json!({ "model": "m", "messages": [{ "role": "user", "content": content }] });
    assert_eq!(sent(&images(), EmbedImages::Messages), messages);
}

#[test]
fn vectors_come_in_the_order_of_the_inputs_at_length_one() {
    let entry = |index: u32, vector: Value| json!({ "object": "embedding", "index": index, "embedding": vector });
    let turned = json!({
        "object": "list", "model": "m",
        "data": [entry(1, json!([0, -2.0])), entry(0, json!([3.0, 4]))],
        "usage": { "prompt_tokens": 7, "total_tokens": 7 },
    });
    assert_eq!(vectors(of(200, &turned)), [vec![0.6, 0.8], vec![0.0, -1.0]]);
    assert_eq!(of(200, &turned).unwrap().usage(), Some(Usage { input: 7, output: 0 }));
    let bare = json!({ "data": [{ "embedding": [2.0] }, { "embedding": [-1e-3] }] });
    assert_eq!(vectors(of(200, &bare)), [[1.0], [-1.0]]);
}

#[test]
fn answers_that_are_none() {
    for (data, problem) in [
        (json!(null), "no data"),
        (json!([{ "index": 0, "embedding": [1.0, null] }]), "what is no number"),
        (json!([{ "index": 0, "embedding": [0.0, 0.0] }]), "without a direction"),
        (json!([{ "index": 0, "embedding": [1e300, 1.0] }]), "without a direction"),
        (json!([{ "index": 0, "embedding": [] }]), "no list of numbers"),
        (json!([{ "index": 0, "embedding": "AAAA" }]), "no list of numbers"),
        (json!([{ "index": 1, "embedding": [1.0] }]), "an index that is none: 1"),
        (
            json!([{ "index": 0, "embedding": [1.0] }, { "index": 0, "embedding": [1.0] }]),
            "two entries with index 0",
        ),
    ] {
        match of(200, &json!({ "data": data })) {
            Err(Trouble::Broken { detail, .. }) => assert!(detail.contains(problem), "{detail}"),
            other => panic!("{data}: {other:?}"),
        }
    }
    let nan =
        read(200, &HeaderMap::new(), br#"{"data": [{"embedding": [NaN]}]}"#, Theirs(&[]), NOW);
    assert!(matches!(nan, Err(Trouble::Broken { .. })), "{nan:?}");
}

#[test]
fn errors_are_told_apart() {
    let error = |message: &str| json!({ "error": { "message": message } });
    assert!(matches!(of(429, &error("slow down")), Err(Trouble::Busy { .. })));
    assert!(matches!(of(401, &error("no key")), Err(Trouble::Abort { .. })));
    assert!(matches!(of(400, &error("input too long")), Err(Trouble::Skip { refused: false, .. })));
    assert!(matches!(of(500, &error("oops")), Err(Trouble::Broken { .. })));
    // No weaker form could be asked for.
    let odd = of(400, &error("unsupported response_format"));
    assert!(matches!(odd, Err(Trouble::Skip { .. })), "{odd:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let answer = json!({ "data": [{ "embedding": [1.0, 1.0] }, { "embedding": [1.0] }] });
    let Ok(Answer::Said { text, .. }) = of(200, &answer) else { panic!("no answer") };
    let count = split_vectors(&text, 3, |_| panic!("there is none to each"));
    assert_eq!(count, Err(Misfit::Count { found: 2, inputs: 3 }));
    let width = split_vectors(&text, 2, |widths| {
        assert_eq!(widths, [2, 1]);
        widths[0]
    });
    assert_eq!(width, Err(Misfit::Width { found: 1, expected: 2 }));
    let first = text.lines().next().unwrap();
    assert_eq!(split_vectors(first, 1, |_| 2).unwrap(), [first]);
    assert_eq!(split_vectors(first, 1, |_| 3), Err(Misfit::Width { found: 2, expected: 3 }));
}

proptest! {
    #[test]
    fn nothing_panics(body in hostile::json(), status in 100_u16..600, data in hostile::json()) {
        let _ = of(status, &body);
        let _ = of(status, &json!({ "data": [{ "index": body, "embedding": data }] }));
        let _ = of(status, &json!({ "data": data }));
    }

    #[test]
    fn a_vector_survives_its_line(vector in prop::collection::vec(-1e3_f32..1e3, 1..50)) {
        prop_assume!(vector.iter().any(|number| number.abs() > 1e-3));
        let answer = json!({ "data": [{ "embedding": vector }] });
        let read = vectors(of(200, &answer)).remove(0);
        let length = vector.iter().map(|n| f64::from(*n).powi(2)).sum::<f64>().sqrt();
        for (ours, number) in read.iter().zip(&vector) {
            prop_assert!((f64::from(*ours) - f64::from(*number) / length).abs() < 1e-6);
        }
    }
}
