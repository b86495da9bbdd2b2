//! One Rust file as the rules see it: its lines, its tokens, which lines are tests, its functions, where a lint is excused.
//!
//! Parses with syn and walks the tokens too, because syn does not look into macro calls. Knows no rule.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItem, Item, Signature, Stmt, TraitItem};

/// Lines, counted from 1.
pub(crate) type Lines = RangeInclusive<usize>;

/// A parsed file.
pub(crate) struct Source {
    /// Relative to the root, with slashes.
    pub(crate) file: String,
    pub(crate) lines: Vec<String>,
    /// The whole file is test code.
    pub(crate) is_test: bool,
    pub(crate) tests: Vec<Lines>,
    pub(crate) functions: Vec<Function>,
    pub(crate) tokens: Vec<Token>,
    statements: Vec<Lines>,
    excused: Vec<Lines>,
    test_modules: Vec<String>,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: Lines,
    pub(crate) attributes: Vec<String>,
    pub(crate) is_test: bool,
}

/// A token and the line on which it starts; groups are flattened into their delimiters.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn parse(file: &str, text: &str) -> syn::Result<Self> {
        let syntax = syn::parse_file(text)?;
        let mut visitor = Visitor::default();
        visitor.excuse(&syntax.attrs, 1..=text.lines().count().max(1));
        visitor.visit_file(&syntax);
        let mut tokens = Vec::new();
        flatten(
            text.parse().map_err(|error| syn::Error::new(proc_macro2::Span::call_site(), error))?,
            &mut tokens,
        );
        Ok(Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            is_test: is_test_file(file),
            tests: visitor.tests,
            functions: visitor.functions,
            tokens,
            statements: visitor.statements,
            excused: visitor.excused,
            test_modules: visitor.test_modules,
        })
    }

    /// Whether a line is test code.
    pub(crate) fn in_test(&self, line: usize) -> bool {
        self.is_test || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Lines outside test modules; none in a test file.
    pub(crate) fn production_lines(&self) -> usize {
        (1..=self.lines.len()).filter(|line| !self.in_test(*line)).count()
    }

    /// Whether the writer says why: an `#[expect(clippy::..)]` around the line, or a comment on it, above it or above its statement.
    pub(crate) fn is_explained(&self, line: usize) -> bool {
        self.excused.iter().any(|lines| lines.contains(&line)) || !self.comment_at(line).is_empty()
    }

    /// The comment on a line, directly above it, or above the statement that it belongs to.
    pub(crate) fn comment_at(&self, line: usize) -> String {
        let own = self.line(line).split_once("//").map(|(_, comment)| comment.to_owned());
        let statement =
            self.statements.iter().filter(|lines| lines.contains(&line)).max_by_key(|lines| *lines.start());
        let starts = [Some(line), statement.map(|lines| *lines.start())];
        let above = starts.into_iter().flatten().filter_map(|start| {
            let above = self.line(start.saturating_sub(1)).trim();
            // Documentation says what an item is, not why a call in it cannot fail.
            above.strip_prefix("//").filter(|text| !text.starts_with(['!', '/'])).map(str::to_owned)
        });
        own.into_iter().chain(above).collect::<Vec<_>>().join(" ")
    }

    /// The function around a line; the innermost if they nest.
    pub(crate) fn function_at(&self, line: usize) -> Option<&Function> {
        self.functions
            .iter()
            .filter(|function| function.lines.contains(&line))
            .max_by_key(|f| *f.lines.start())
    }

    /// Files of modules that this file declares under `#[cfg(test)]`, whether they exist or not.
    pub(crate) fn test_module_files(&self) -> Vec<PathBuf> {
        let path = Path::new(&self.file);
        let folder = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().unwrap_or_default();
        let below = if ["lib", "main", "mod"].iter().any(|name| stem == *name) {
            folder.into()
        } else {
            folder.join(stem)
        };
        let candidates = |name: &String| [below.join(format!("{name}.rs")), below.join(name).join("mod.rs")];
        self.test_modules.iter().flat_map(candidates).collect()
    }

    fn line(&self, line: usize) -> &str {
        line.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Visitor {
    tests: Vec<Lines>,
    functions: Vec<Function>,
    statements: Vec<Lines>,
    excused: Vec<Lines>,
    test_modules: Vec<String>,
    /// The statements around what is being visited.
    around: Vec<Lines>,
}

impl Visitor {
    fn excuse(&mut self, attributes: &[Attribute], lines: Lines) {
        let excuses = |attribute: &Attribute| {
            (attribute.path().is_ident("expect") || attribute.path().is_ident("allow"))
                && text_of(attribute).contains("clippy :: ")
        };
        if attributes.iter().any(excuses) {
            self.excused.push(lines);
        }
    }

    fn function(&mut self, signature: &Signature, body: &Block, attributes: &[Attribute]) {
        let lines = signature.span().start().line..=body.span().end().line;
        let whole =
            attributes.first().map_or(*lines.start(), |first| first.span().start().line)..=*lines.end();
        self.excuse(attributes, whole.clone());
        let is_test = attributes.iter().any(is_test_attribute);
        if is_test {
            self.tests.push(whole);
        }
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines,
            attributes: attributes.iter().map(text_of).collect(),
            is_test,
        });
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = attributes_of(item);
        let lines = item.span().start().line..=item.span().end().line;
        if attributes.iter().any(is_cfg_test) {
            self.tests.push(lines.clone());
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                self.test_modules.push(module.ident.to_string());
            }
        }
        self.excuse(attributes, lines);
        if let Item::Fn(function) = item {
            self.function(&function.sig, &function.block, &function.attrs);
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if let ImplItem::Fn(function) = item {
            self.function(&function.sig, &function.block, &function.attrs);
            if function.attrs.iter().any(is_cfg_test) {
                self.tests.push(item.span().start().line..=item.span().end().line);
            }
        }
        visit::visit_impl_item(self, item);
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if let TraitItem::Fn(function) = item
            && let Some(body) = &function.default
        {
            self.function(&function.sig, body, &function.attrs);
        }
        visit::visit_trait_item(self, item);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let lines = statement.span().start().line..=statement.span().end().line;
        self.statements.push(lines.clone());
        self.around.push(lines);
        visit::visit_stmt(self, statement);
        self.around.pop();
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // syn hangs a statement's attributes on some expression inside it.
        if let Some(lines) = self.around.last().cloned() {
            self.excuse(std::slice::from_ref(attribute), lines);
        }
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    let text = text_of(attribute);
    attribute.path().is_ident("cfg") && (text == "cfg (test)" || text.starts_with("cfg (all (test ,"))
}

fn is_test_attribute(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

fn text_of(attribute: &Attribute) -> String {
    use quote::ToTokens;
    attribute.meta.to_token_stream().to_string()
}

/// Integration tests, benchmarks, test modules in files of their own, and the code that only they use.
fn is_test_file(file: &str) -> bool {
    let inside = |name: &str| file.split('/').rev().skip(1).any(|folder| folder == name);
    let support = file.starts_with("integration-tests/") && !file.starts_with("integration-tests/peer/");
    // The bodies of fuzz targets panic when a property does not hold: that is what they are for.
    let fuzzing = file.starts_with("fuzz/") || inside("fuzzing") || file.ends_with("/fuzzing.rs");
    inside("tests")
        || fuzzing
        || inside("benches") && !file.starts_with("benches/src/")
        || file.ends_with("/tests.rs")
        || support
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line: group.span_open().start().line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            other => tokens.push(Token { text: other.to_string(), line: other.span().start().line }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "//! Header.\n\nfn one() {\n    // The queue is never empty here.\n    let x = queue\n        .pop()\n        .unwrap();\n}\n\n\
        #[cfg(test)]\nmod tests {\n    #[test]\n    fn two() { x.unwrap(); }\n}\n";

    #[test]
    fn test_modules_are_not_production() {
        let source = Source::parse("crates/a/src/lib.rs", FILE).unwrap();
        assert_eq!(source.production_lines(), 9);
        assert!(!source.in_test(7));
        assert!(source.in_test(13));
    }

    #[test]
    fn a_comment_above_the_statement_explains_it() {
        let source = Source::parse("crates/a/src/lib.rs", FILE).unwrap();
        assert_eq!(source.comment_at(7).trim(), "The queue is never empty here.");
        assert!(source.is_explained(7));
        assert!(!source.is_explained(13));
    }

    #[test]
    fn functions_are_found_with_their_attributes() {
        let source = Source::parse("crates/a/src/lib.rs", FILE).unwrap();
        let names: Vec<&str> = source.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(source.functions[1].is_test);
        assert_eq!(source.function_at(7).map(|function| function.lines.clone()), Some(3..=8));
    }

    #[test]
    fn test_files_are_known_by_their_place_and_by_their_parent() {
        for file in [
            "crates/a/tests/echo.rs",
            "crates/a/src/ws/tests.rs",
            "crates/a/src/fuzzing/json.rs",
            "integration-tests/src/lib.rs",
            "benches/benches/b.rs",
        ] {
            assert!(is_test_file(file), "{file}");
        }
        for file in [
            "crates/a/src/lib.rs",
            "benches/src/lib.rs",
            "integration-tests/peer/src/main.rs",
            "crates/signalr-testkit/src/lib.rs",
        ] {
            assert!(!is_test_file(file), "{file}");
        }
        let source = Source::parse("crates/a/src/ws.rs", "#[cfg(test)]\nmod oracle;\n").unwrap();
        assert_eq!(source.test_module_files()[0], Path::new("crates/a/src/ws/oracle.rs"));
    }
}
