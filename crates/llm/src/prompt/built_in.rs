//! Texts for models that come with the program, by name.
//!
//! Built-in texts are never edited, because runs keep their names and replies are cached under their hashes:
//! a new text is a new file and a new entry at the end of its list. An empty key means the first entry of the
//! list in every version; a later default names its text.

use std::path::Path;

/// Prefix that distinguishes the name of a built-in text from a path.
const PREFIX: &str = "built-in:";

/// A text, with the schema of its replies.
#[derive(Debug)]
pub struct BuiltIn {
    /// Name after the prefix `built-in:`.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
    /// JSON Schema of the reply; empty for demonstrations. A prompt from a file of the user has the schema of
    /// the first built-in prompt.
    pub schema: &'static str,
}

/// Texts that `describe.prompt` may name.
pub const DESCRIBE_PROMPTS: &[BuiltIn] = &[BuiltIn {
    name: "describe.v1",
    text: include_str!("../../../../prompts/describe.v1.md"),
    schema: include_str!("../../../../schemas/describe.json"),
}];

/// Texts that `instruct.prompt` may name.
pub const INSTRUCT_PROMPTS: &[BuiltIn] = &[BuiltIn {
    name: "instruct.v1",
    text: include_str!("../../../../prompts/instruct.v1.md"),
    schema: include_str!("../../../../schemas/instruct.json"),
}];

/// Texts that `instruct.demonstrations` may name.
pub const DEMONSTRATIONS: &[BuiltIn] = &[BuiltIn {
    name: "instruct.v1.demonstrations",
    text: include_str!("../../../../prompts/instruct.v1.demonstrations.json"),
    schema: "",
}];

/// Returns the built-in text that a key names, or `None` if the key is the path of a file. The error lists
/// the names of the built-in texts.
pub fn built_in(list: &'static [BuiltIn], path: &Path) -> Result<Option<&'static BuiltIn>, String> {
    if path.as_os_str().is_empty() {
        return Ok(list.first());
    }
    let Some(name) = path.to_str().and_then(|path| path.strip_prefix(PREFIX)) else {
        return Ok(None);
    };
    if let Some(text) = list.iter().find(|text| text.name == name) {
        return Ok(Some(text));
    }
    let names: Vec<String> = list.iter().map(|text| format!("{PREFIX}{}", text.name)).collect();
    Err(format!("no text is built in as {PREFIX}{name}; there is {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// sha256 of every text. Add lines; change none.
    const NEVER_EDITED: &[(&str, &str)] = &[
        ("describe.v1", "a66a1b178ef2262870324e1e1a521f71c4af16fae3416e09f58ecc9b19c58cd6"),
        (
            "answers to describe.v1",
            "5c8fb208638b611a685009c4020aa61f688c012c581cf2bb83618e028a701d82",
        ),
        ("instruct.v1", "28865e96690bfb7e40d87316e7b8bac249ef56f3002fdb92d58087f8529b8a40"),
        (
            "answers to instruct.v1",
            "368a48a821ab1d7d94a6b41a84a8327c01beb48c846c5e7d618f640b218f29f7",
        ),
        (
            "instruct.v1.demonstrations",
            "13ecf4db89a6cd3efd20a3d9cbe22b3b3c6cb10a95233543a94353700ef6b4a6",
        ),
    ];

    #[test]
    fn no_text_that_is_built_in_is_ever_edited() {
        let lists = [DESCRIBE_PROMPTS, INSTRUCT_PROMPTS, DEMONSTRATIONS];
        let mut found = Vec::new();
        for BuiltIn { name, text, schema } in lists.into_iter().flatten() {
            found.push(((*name).to_owned(), hex::encode(Sha256::digest(text))));
            if !schema.is_empty() {
                found.push((format!("answers to {name}"), hex::encode(Sha256::digest(schema))));
            }
        }
        let known = |(name, hash): &(String, String)| {
            NEVER_EDITED.iter().any(|known| known == &(name.as_str(), hash.as_str()))
        };
        let other: Vec<_> = found.iter().filter(|found| !known(found)).collect();
        assert!(
            other.is_empty(),
            "{other:?}: a text that runs and cached replies depend on was edited. Restore it, and add the \
             new text as a new file with a new name and a line in NEVER_EDITED"
        );
        assert_eq!(found.len(), NEVER_EDITED.len(), "a text was removed that runs may depend on");
    }

    #[test]
    fn empty_is_the_first_and_an_unknown_name_lists_those_there_are() {
        let of = |path: &str| built_in(INSTRUCT_PROMPTS, Path::new(path));
        let name = |path: &str| of(path).unwrap().map(|text| text.name);
        assert_eq!(name(""), Some("instruct.v1"));
        assert_eq!(name("built-in:instruct.v1"), Some("instruct.v1"));
        assert_eq!(name("instruct.v1"), None, "a file may be called so");
        assert_eq!(
            of("built-in:instruct.v0").unwrap_err(),
            "no text is built in as built-in:instruct.v0; there is built-in:instruct.v1"
        );
    }
}
