//! A YAML file as a flat list of `path: value` lines, each with the line it stands on.
//!
//! Mappings become paths with dots, sequences of scalars become one text with commas: the form in
//! which every other source gives its values.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, UserMessageFormatter};

/// One value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlValue {
    /// The keys from the root, with dots between them.
    pub path: String,
    /// The line of the last key, from 1.
    pub line: u64,
    /// The value as text.
    pub value: String,
    /// Whether the file wrote a number, which etcd's durations are.
    pub number: bool,
}

/// Why a file cannot be read as settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Not YAML, or keys twice.
    #[error("{0}")]
    Syntax(String),
    /// The root is no mapping.
    #[error("it must be a mapping of keys to values")]
    NotAMapping,
    /// A sequence of something other than scalars.
    #[error("line {line}: {path:?} must be a list of plain values")]
    NestedList {
        /// The path of the list.
        path: String,
        /// The line of its key.
        line: u64,
    },
}

/// A node of the tree; nulls set nothing.
enum Node {
    Null,
    Scalar { text: String, number: bool },
    List(Vec<Node>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

/// Reads a file's text.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn parse(text: &str) -> Result<Vec<YamlValue>, YamlError> {
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let root: Node = serde_saphyr::from_str(text)
        .map_err(|error| YamlError::Syntax(error.without_snippet().render_with_formatter(&UserMessageFormatter)))?;
    match root {
        Node::Null => Ok(Vec::new()),
        Node::Mapping(entries) => {
            let mut values = Vec::new();
            flatten("", entries, &mut values)?;
            Ok(values)
        }
        Node::Scalar { .. } | Node::List(_) => Err(YamlError::NotAMapping),
    }
}

fn flatten(prefix: &str, entries: Vec<(Spanned<String>, Node)>, values: &mut Vec<YamlValue>) -> Result<(), YamlError> {
    for (key, node) in entries {
        let line = key.referenced.line();
        let path = if prefix.is_empty() { key.value } else { format!("{prefix}.{}", key.value) };
        match node {
            Node::Null => {}
            Node::Scalar { text, number } => values.push(YamlValue { path, line, value: text, number }),
            Node::List(items) => {
                let texts: Option<Vec<_>> = items.into_iter().map(scalar_text).collect();
                let value = texts.ok_or_else(|| YamlError::NestedList { path: path.clone(), line })?.join(",");
                values.push(YamlValue { path, line, value, number: false });
            }
            Node::Mapping(entries) => flatten(&path, entries, values)?,
        }
    }
    Ok(())
}

fn scalar_text(node: Node) -> Option<String> {
    match node {
        Node::Scalar { text, .. } => Some(text),
        Node::Null | Node::List(_) | Node::Mapping(_) => None,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl NodeVisitor {
    fn number<E>(text: String) -> Result<Node, E> {
        Ok(Node::Scalar { text, number: true })
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a mapping, a list or a plain value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar { text: value.to_string(), number: false })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Self::number(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Self::number(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Self::number(value.to_string())
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar { text: value.to_owned(), number: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_values_and_lines() {
        let text =
            "# a comment\nname: m1\nnested:\n  size: 5\n  deep:\n    on: true\n  none:\nlist: [a, 2]\ntext: \"7\"\n";
        let read: Vec<_> =
            parse(text).unwrap().into_iter().map(|set| (set.path, set.line, set.value, set.number)).collect();
        let expected = [
            ("name", 2, "m1", false),
            ("nested.size", 4, "5", true),
            ("nested.deep.on", 6, "true", false),
            ("list", 8, "a,2", false),
            ("text", 9, "7", false),
        ];
        let expected = expected.map(|(path, line, value, number)| (path.to_owned(), line, value.to_owned(), number));
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        assert_eq!(parse("- a\n"), Err(YamlError::NotAMapping));
        assert_eq!(parse("# nothing\n"), Ok(Vec::new()));
        assert!(matches!(parse("a: [[b]]\n"), Err(YamlError::NestedList { line: 1, .. })));
        assert!(matches!(parse("a: [\n"), Err(YamlError::Syntax(_))));
        assert!(matches!(parse("a: 1\na: 2\n"), Err(YamlError::Syntax(_))));
    }
}
