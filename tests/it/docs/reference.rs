//! `docs/configuration.md` is made of the configuration's types: names, defaults and doc comments.
//!
//! `make reference` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use magiclens::config::{Config, env};
use magiclens::record::{Flag, Safety};
use syn::{Attribute, Expr, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};
use toml::{Table, Value};

use crate::source::{root, rust_files};

/// A field or a variant, with what its doc comment says.
struct Named {
    name: String,
    kind: Kind,
    doc: String,
}

/// What a key's value is.
#[derive(Clone)]
enum Kind {
    /// A section, or an enum, by the name of its type.
    Type(String),
    /// `Vec` of something.
    List(Box<Kind>),
    /// A map from names to something.
    Map(Box<Kind>),
}

/// The types of the configuration.
struct Types {
    structs: BTreeMap<String, Vec<Named>>,
    enums: BTreeMap<String, Vec<(String, String)>>,
}

impl Types {
    fn read() -> Self {
        let mut types = Self { structs: BTreeMap::new(), enums: BTreeMap::new() };
        // These two are made by a macro, which is no item to read.
        let bare = |name: &'static str| (name.to_owned(), String::new());
        let safety = Safety::ALL.iter().map(|safety| bare(safety.as_str()));
        types.enums.insert("Safety".into(), safety.collect());
        let flags = Flag::ALL.iter().map(|flag| bare(flag.as_str()));
        types.enums.insert("Flag".into(), flags.collect());
        for path in rust_files(&root().join("crates/common/src/config")) {
            let source = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            source.items.into_iter().for_each(|item| types.add(item));
        }
        types
    }

    fn add(&mut self, item: Item) {
        match item {
            Item::Struct(item) => {
                let Fields::Named(fields) = item.fields else { return };
                let field = |field: syn::Field| Named {
                    name: field.ident.as_ref().unwrap().to_string(),
                    kind: kind(&field.ty),
                    doc: doc(&field.attrs),
                };
                let fields = fields.named.into_iter().map(field).collect();
                self.structs.insert(item.ident.to_string(), fields);
            }
            Item::Enum(item) => {
                let kebab = item.attrs.iter().any(|attribute| renames(attribute, "kebab-case"));
                let variants = item.variants.into_iter().map(|variant| {
                    let name = spelt(&variant.ident.to_string(), if kebab { '-' } else { '_' });
                    (name, doc(&variant.attrs))
                });
                self.enums.insert(item.ident.to_string(), variants.collect());
            }
            _ => {}
        }
    }

    /// What a value may be, in words.
    fn words(&self, kind: &Kind) -> String {
        match kind {
            Kind::List(item) => format!("list of {}", self.plural(item)),
            Kind::Map(value) => format!("table: name = {}", self.words(value)),
            Kind::Type(name) => match &**name {
                "bool" => "true or false".into(),
                "f64" => "number".into(),
                "u8" | "u32" | "u64" | "usize" => "whole number".into(),
                "i64" => "whole number, below 0 too".into(),
                "String" => "text".into(),
                "PathBuf" => "path".into(),
                "IpAddr" => "IP address".into(),
                "IpNet" => "address range".into(),
                // Written by hand: it reads both.
                "Bound" => "number, or `\"auto\"`".into(),
                other => self.table_or_names(other),
            },
        }
    }

    fn table_or_names(&self, name: &str) -> String {
        if let Some(fields) = self.structs.get(name) {
            let fields =
                fields.iter().map(|field| format!("{} = {}", field.name, self.words(&field.kind)));
            return format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "));
        }
        let variants = self.enums.get(name).unwrap_or_else(|| panic!("{name} is not known here"));
        let variants = variants.iter().map(|(name, doc)| {
            let doc = doc.trim_end_matches('.');
            if doc.is_empty() { format!("`\"{name}\"`") } else { format!("`\"{name}\"`: {doc}") }
        });
        variants.collect::<Vec<_>>().join("<br>")
    }

    fn plural(&self, item: &Kind) -> String {
        match self.words(item).as_str() {
            "text" => "texts".into(),
            "path" => "paths".into(),
            "address range" => "address ranges".into(),
            names => format!("these:<br>{names}"),
        }
    }
}

/// The words of a doc comment, on one line.
fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(literal) = &pair.value else { continue };
        if let (true, Lit::Str(line)) = (pair.path.is_ident("doc"), &literal.lit) {
            lines.push(line.value().trim().to_owned());
        }
    }
    // Links are for readers of the source.
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}

fn renames(attribute: &Attribute, to: &str) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("serde") && list.tokens.to_string().contains(&format!("{to:?}"))
}

/// A variant as serde spells it.
fn spelt(variant: &str, between: char) -> String {
    let mut name = String::new();
    for (at, letter) in variant.char_indices() {
        if letter.is_uppercase() && at > 0 {
            name.push(between);
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn kind(ty: &Type) -> Kind {
    let Type::Path(path) = ty else { return Kind::Type("what no key is".to_owned()) };
    let last = path.path.segments.last().unwrap();
    let mut inner = Vec::new();
    if let PathArguments::AngleBracketed(arguments) = &last.arguments {
        for argument in &arguments.args {
            if let GenericArgument::Type(ty) = argument {
                inner.push(kind(ty));
            }
        }
    }
    match (&*last.ident.to_string(), inner.pop()) {
        ("Vec", Some(item)) => Kind::List(item.into()),
        ("BTreeMap", Some(value)) => Kind::Map(value.into()),
        (name, _) => Kind::Type(name.to_owned()),
    }
}

/// Whether a type is a section, whose keys are set by themselves.
fn is_section(types: &Types, kind: &Kind, default: &Value) -> bool {
    matches!(kind, Kind::Type(name) if types.structs.contains_key(name)) && default.is_table()
}

fn section(types: &Types, name: &str, ty: &str, about: &str, defaults: &Table, into: &mut String) {
    write!(into, "\n## [{name}]\n\n{about}\n\n").unwrap();
    into.push_str("| key, and in the environment | values | default | |\n|---|---|---|---|\n");
    let fields = &types.structs[ty];
    for field in
        fields.iter().filter(|field| !is_section(types, &field.kind, &defaults[&field.name]))
    {
        let dotted = format!("{name}.{}", field.name);
        let variable = dotted.replace('.', env::SEPARATOR).to_uppercase();
        let default = match &defaults[&field.name] {
            Value::Table(table) if table.is_empty() => "{}".into(),
            value => value.to_string(),
        };
        let cells = [
            format!("`{dotted}`<br>`{}{variable}`", env::PREFIX),
            types.words(&field.kind),
            format!("`{default}`"),
            field.doc.clone(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        writeln!(into, "| {} |", cells.join(" | ")).unwrap();
    }
    for field in fields {
        let Kind::Type(inner) = &field.kind else { continue };
        let default = &defaults[&field.name];
        if is_section(types, &field.kind, default) {
            let name = format!("{name}.{}", field.name);
            section(types, &name, inner, &field.doc, default.as_table().unwrap(), into);
        }
    }
}

/// The page.
fn reference() -> String {
    let types = Types::read();
    let defaults = Table::try_from(Config::default()).unwrap();
    let mut page = include_str!("configuration_head.md").to_owned();
    for field in &types.structs["Config"] {
        let Kind::Type(ty) = &field.kind else { panic!("{} is no section", field.name) };
        let table = defaults[&field.name].as_table().unwrap();
        section(&types, &field.name, ty, &field.doc, table, &mut page);
    }
    page
}

fn count(table: &Table) -> usize {
    let keys = table.values().map(|value| match value {
        Value::Table(inner) if !inner.is_empty() => count(inner),
        _ => 1,
    });
    keys.sum()
}

#[test]
fn the_configuration_reference_is_that_of_the_types() {
    let path = root().join("docs/configuration.md");
    let page = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let differs = written.lines().zip(page.lines()).find(|(written, made)| written != made);
    assert!(written == page, "run `make reference` and look at the difference: {differs:?}");
}

#[test]
fn the_reference_has_every_key_once_with_a_doc_comment() {
    let page = reference();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), count(&Table::try_from(Config::default()).unwrap()));
    let name = |row: &&str| row.split('`').nth(1).map(str::to_owned);
    let names: std::collections::BTreeSet<_> = rows.iter().filter_map(name).collect();
    assert_eq!(names.len(), rows.len());
    for row in &rows {
        let about = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(about.split(' ').count() > 1, "{row}");
    }
    assert!(page.contains("`MAGICLENS_DESCRIBE__ENDPOINT__BASE_URL`"));
    assert!(page.contains("`\"page-text\"`: The page's own words; no model"));
    assert!(page.contains("`\"noimageindex\"`"));
}

#[test]
fn names_that_the_reference_gives_are_those_that_are_read() {
    let types = Types::read();
    for (key, ty) in [
        ("crawl.scope", "Scope"),
        ("describe.provider", "DescribeProvider"),
        ("instruct.provider", "InstructProvider"),
        ("describe.endpoint.response_format", "ResponseFormat"),
        ("embed.images", "EmbedImages"),
        ("pair.similarity", "Similarity"),
        ("pair.direction", "Direction"),
        ("export.images", "ExportImages"),
    ] {
        for (name, _) in &types.enums[ty] {
            let text = format!("{key} = \"{name}\"");
            toml::from_str::<Config>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
    for (key, ty) in [
        ("crawl.opt_outs", "OptOut"),
        ("describe.reject_safety", "Safety"),
        ("describe.reject_flags", "Flag"),
    ] {
        for (name, _) in &types.enums[ty] {
            let text = format!("{key} = [\"{name}\"]");
            toml::from_str::<Config>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
