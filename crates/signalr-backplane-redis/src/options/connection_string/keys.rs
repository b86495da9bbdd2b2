//! The keys of connection strings.

/// An option of a connection string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionKey {
    AbortConnect,
    AllowAdmin,
    AsyncTimeout,
    ChannelPrefix,
    CheckCertificateRevocation,
    ConfigChannel,
    ConfigCheckSeconds,
    ConnectRetry,
    ConnectTimeout,
    DefaultDatabase,
    HighIntegrity,
    KeepAlive,
    Name,
    Password,
    Protocol,
    Proxy,
    ResolveDns,
    ServiceName,
    SetLib,
    Ssl,
    SslHost,
    SslProtocols,
    SyncTimeout,
    TcpKeepAlive,
    TieBreaker,
    Tunnel,
    User,
    Version,
    /// Options of the past: read and forgotten, as the library does.
    Obsolete,
}

/// The keys as the library writes them.
pub(crate) const NAMES: [(&str, OptionKey); 32] = [
    ("abortConnect", OptionKey::AbortConnect),
    ("allowAdmin", OptionKey::AllowAdmin),
    ("asyncTimeout", OptionKey::AsyncTimeout),
    ("channelPrefix", OptionKey::ChannelPrefix),
    ("checkCertificateRevocation", OptionKey::CheckCertificateRevocation),
    ("configChannel", OptionKey::ConfigChannel),
    ("configCheckSeconds", OptionKey::ConfigCheckSeconds),
    ("connectRetry", OptionKey::ConnectRetry),
    ("connectTimeout", OptionKey::ConnectTimeout),
    ("defaultDatabase", OptionKey::DefaultDatabase),
    ("highIntegrity", OptionKey::HighIntegrity),
    ("keepAlive", OptionKey::KeepAlive),
    ("name", OptionKey::Name),
    ("password", OptionKey::Password),
    ("protocol", OptionKey::Protocol),
    ("proxy", OptionKey::Proxy),
    ("resolveDns", OptionKey::ResolveDns),
    ("serviceName", OptionKey::ServiceName),
    ("setlib", OptionKey::SetLib),
    ("ssl", OptionKey::Ssl),
    ("sslHost", OptionKey::SslHost),
    ("sslProtocols", OptionKey::SslProtocols),
    ("syncTimeout", OptionKey::SyncTimeout),
    ("tcpKeepAlive", OptionKey::TcpKeepAlive),
    ("tiebreaker", OptionKey::TieBreaker),
    ("tunnel", OptionKey::Tunnel),
    ("user", OptionKey::User),
    ("version", OptionKey::Version),
    ("highPriorityThreads", OptionKey::Obsolete),
    ("preserveAsyncOrder", OptionKey::Obsolete),
    ("responseTimeout", OptionKey::Obsolete),
    ("writeBuffer", OptionKey::Obsolete),
];

/// Finds a key without regard to case.
pub(super) fn find(key: &str) -> Option<OptionKey> {
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, key)| *key)
}

/// The key as the library writes it, if the word is one.
pub(crate) fn option_name(word: &str) -> Option<&'static str> {
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(name, _)| *name)
}
