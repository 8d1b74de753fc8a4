//! `schemas/*.json` describe exactly the columns that tables have.

use arrow::datatypes::{DataType, FieldRef};
use magiclens::record::{Embedding, GroupImage, Image, Page, Pair};
use magiclens::store::Row;
use magiclens::table::{PoolImage, Triplet};
use serde_json::Value;

fn schema(name: &str) -> Value {
    let path = format!("{}/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn names(fields: &[FieldRef]) -> Vec<String> {
    let mut names: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
    names.sort();
    names
}

fn described(columns: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (name, description) in columns.as_object().unwrap() {
        assert!(description.as_str().unwrap().len() > 3, "{name} has no description");
        names.push(name.clone());
    }
    names.sort();
    names
}

#[test]
fn pages_and_images_are_described_column_by_column() {
    let pages = schema("pages");
    assert_eq!(described(&pages["columns"]), names(&Page::fields()));
    assert_eq!(described(&schema("images")["columns"]), names(&Image::fields()));
    let images = Page::fields().into_iter().find(|field| field.name() == "images").unwrap();
    let DataType::List(item) = images.data_type() else { panic!("images is no list") };
    let DataType::Struct(fields) = item.data_type() else { panic!("an image is no struct") };
    assert_eq!(described(&pages["images[]"]), names(fields));
}

#[test]
fn triplets_are_described_column_by_column() {
    assert_eq!(described(&schema("triplet")["columns"]), names(&Triplet::fields()));
}

#[test]
fn groups_pairs_and_the_pool_are_described_column_by_column() {
    let groups = schema("groups");
    assert_eq!(described(&groups["columns"]), names(&GroupImage::fields()));
    let look = GroupImage::fields().into_iter().find(|field| field.name() == "look").unwrap();
    let DataType::Struct(fields) = look.data_type() else { panic!("look is no struct") };
    assert_eq!(described(&groups["look"]), names(fields));
    assert_eq!(described(&schema("pairs")["columns"]), names(&Pair::fields()));
    assert_eq!(described(&schema("test_pool")["columns"]), names(&PoolImage::fields()));
}

#[test]
fn embeddings_are_described_column_by_column() {
    assert_eq!(described(&schema("embeddings")["columns"]), names(&Embedding::fields()));
}
