//! The attributes of a struct and of its fields.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Ident, LitStr, Result, Type, meta::ParseNestedMeta,
    spanned::Spanned,
};

/// Names of the fields that have an attribute, by the name of the attribute: calls of the methods of `Schema`.
pub(crate) struct Marks {
    attribute: &'static str,
    allowed: &'static [&'static str],
    names: Vec<(String, Vec<String>)>,
    /// Names of fields with `follows = "input"`.
    follows: Vec<(String, LitStr)>,
}

impl Marks {
    /// Reads `#[attribute(mark, …)]` of all fields of the struct.
    pub(crate) fn read(input: &DeriveInput, attribute: &'static str, allowed: &'static [&'static str]) -> Result<Self> {
        let mut marks = Self { attribute, allowed, names: Vec::new(), follows: Vec::new() };
        let mut errors = Errors::default();
        for field in fields(input)? {
            errors.keep(marks.read_field(field));
        }
        errors.finish()?;
        Ok(marks)
    }

    fn read_field(&mut self, field: &Field) -> Result<()> {
        let Some(name) = property(field)? else { return Ok(()) };
        for attribute in own(&field.attrs, self.attribute) {
            attribute.parse_nested_meta(|meta| {
                let mark = known(&meta, self.allowed, &format!("`#[{}(…)]` of a field", self.attribute))?;
                if mark == "follows" {
                    self.follows.push((name.clone(), meta.value()?.parse()?));
                    return Ok(());
                }
                let at = self.names.iter().position(|(known, _)| *known == mark).unwrap_or_else(|| {
                    self.names.push((mark, Vec::new()));
                    self.names.len() - 1
                });
                if self.names[at].1.contains(&name) {
                    return Err(meta.error(format!("`{}` occurs twice", self.names[at].0)));
                }
                self.names[at].1.push(name.clone());
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Calls of `Schema`'s methods: `.replace_on(["name"]).secret(["password"])`.
    pub(crate) fn calls(&self) -> TokenStream {
        let calls = self.names.iter().map(|(mark, names)| {
            let method = if mark == "replace" { "replace_on" } else { mark };
            let method = Ident::new(method, Span::call_site());
            quote!(.#method([#(#names),*]))
        });
        let follows = self.follows.iter().map(|(name, of)| quote!(.follow([(#name, #of)])));
        quote!(#(#calls)* #(#follows)*)
    }
}

/// Attributes of a struct.
#[derive(Default)]
pub(crate) struct Container {
    /// The type token.
    pub(crate) token: Option<LitStr>,
    /// The struct of outputs.
    pub(crate) outputs: Option<Type>,
    /// The function that returns a label.
    pub(crate) label: Option<Expr>,
    /// Calls of `Schema`'s methods: `.delete_before_replace()`.
    pub(crate) calls: TokenStream,
}

impl Container {
    /// Reads `#[attribute(…)]` of the struct.
    pub(crate) fn read(input: &DeriveInput, attribute: &'static str, allowed: &'static [&'static str]) -> Result<Self> {
        let mut container = Self::default();
        let mut seen = Vec::new();
        for found in own(&input.attrs, attribute) {
            found.parse_nested_meta(|meta| {
                let name = known(&meta, allowed, &format!("`#[{attribute}(…)]` of a struct"))?;
                if seen.contains(&name) {
                    return Err(meta.error(format!("`{name}` occurs twice")));
                }
                container.read_one(&meta, &name)?;
                seen.push(name);
                Ok(())
            })?;
        }
        Ok(container)
    }

    fn read_one(&mut self, meta: &ParseNestedMeta<'_>, name: &str) -> Result<()> {
        match name {
            "type" => self.token = Some(check_token(meta.value()?.parse()?)?),
            "outputs" => self.outputs = Some(meta.value()?.parse()?),
            "label" => self.label = Some(meta.value()?.parse()?),
            "timeout" => {
                let timeout: Expr = meta.value()?.parse()?;
                self.calls.extend(quote!(.timeout(#timeout)));
            }
            flag => {
                let method = Ident::new(flag, Span::call_site());
                self.calls.extend(quote!(.#method()));
            }
        }
        Ok(())
    }
}

/// Fields of a struct with named fields or none.
pub(crate) fn fields(input: &DeriveInput) -> Result<impl Iterator<Item = &Field>> {
    let unfit =
        |what: &str| Error::new(input.ident.span(), format!("a kind is a struct with named fields, not {what}"));
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) | Fields::Unit => Ok(data.fields.iter()),
            Fields::Unnamed(_) => Err(unfit("a tuple struct")),
        },
        Data::Enum(_) => Err(unfit("an enum")),
        Data::Union(_) => Err(unfit("a union")),
    }
}

/// Returns the name of the property in which serde keeps the field; `None` for a field that serde skips.
pub(crate) fn property(field: &Field) -> Result<Option<String>> {
    let mut name = field.ident.as_ref().map(|ident| ident.to_string().trim_start_matches("r#").to_owned());
    for attribute in own(&field.attrs, "serde") {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("flatten") {
                return Err(meta.error("a kind has one property per field: write the fields of the other struct here"));
            } else if meta.path.is_ident("skip") {
                name = None;
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.parse_nested_meta(|inner| inner.value()?.parse::<Expr>().map(drop))?;
            }
            Ok(())
        })?;
    }
    Ok(name)
}

/// Attributes of this name.
fn own<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a Attribute> {
    attributes.iter().filter(move |attribute| attribute.path().is_ident(name))
}

/// Returns the name of a nested attribute, if it is one of `allowed`.
fn known(meta: &ParseNestedMeta<'_>, allowed: &[&str], place: &str) -> Result<String> {
    let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
    if allowed.contains(&name.as_str()) {
        return Ok(name);
    }
    let list: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
    Err(meta.error(format!("unknown attribute `{name}` in {place}: expected one of {}", list.join(", "))))
}

/// Refuses a text that is no type token.
fn check_token(token: LitStr) -> Result<LitStr> {
    let text = token.value();
    let segments: Vec<&str> = text.split(':').collect();
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if (2..=3).contains(&segments.len()) && segments.iter().all(is_name) {
        Ok(token)
    } else {
        Err(Error::new(token.span(), "a type token has two or three parts of letters and digits: `aws:ec2:Subnet`"))
    }
}

/// Errors of several fields, reported together.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn keep(&mut self, result: Result<()>) {
        match (&mut self.0, result) {
            (_, Ok(())) => {}
            (Some(all), Err(error)) => all.combine(error),
            (none, Err(error)) => *none = Some(error),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Returns the span of a field's type, for errors about it.
pub(crate) fn type_span(field: &Field) -> Span {
    field.ty.span()
}
