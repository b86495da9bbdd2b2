//! What a Rust type is called in .NET.
//!
//! Owns one table, for error texts that name a type; nothing is decided by these names.

/// The name that .NET has for a type, as it stands in error texts: `Int32` for `i32`. Types that .NET does not have
/// keep their own name, without path and parameters.
///
/// ```
/// # use signalr_protocol::values::dotnet_name;
/// assert_eq!(dotnet_name::<i32>(), "Int32");
/// assert_eq!(dotnet_name::<Option<f64>>(), "Nullable`1");
/// ```
pub fn dotnet_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    let head = full.split('<').next().unwrap_or(full);
    let name = head.rsplit("::").next().unwrap_or(head);
    NAMES.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs)
}

const NAMES: [(&str, &str); 25] = [
    ("bool", "Boolean"),
    ("i8", "SByte"),
    ("u8", "Byte"),
    ("i16", "Int16"),
    ("u16", "UInt16"),
    ("i32", "Int32"),
    ("u32", "UInt32"),
    ("i64", "Int64"),
    ("u64", "UInt64"),
    ("f32", "Single"),
    ("f64", "Double"),
    ("char", "Char"),
    ("str", "String"),
    ("Option", "Nullable`1"),
    ("Vec", "List`1"),
    ("HashMap", "Dictionary`2"),
    ("BTreeMap", "Dictionary`2"),
    ("HashSet", "HashSet`1"),
    ("Timestamp", "DateTime"),
    ("SystemTime", "DateTime"),
    ("OffsetDate", "DateTimeOffset"),
    ("Duration", "TimeSpan"),
    ("Uuid", "Guid"),
    ("Binary", "Byte[]"),
    ("Value", "Object"),
];

#[cfg(test)]
mod tests {
    use super::dotnet_name;

    #[test]
    fn paths_and_parameters_are_left_out() {
        assert_eq!(dotnet_name::<String>(), "String");
        assert_eq!(dotnet_name::<&str>(), "&str");
        assert_eq!(dotnet_name::<Vec<std::collections::BTreeMap<String, i32>>>(), "List`1");
        assert_eq!(dotnet_name::<serde_json::Value>(), "Object");
        assert_eq!(dotnet_name::<crate::BindError>(), "BindError");
    }
}
