//! Tables of the addresses that are not public, by the IANA special-purpose registries.
//!
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and its IPv6 sibling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), prefix)
}

const RESERVED_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// The only IPv6 block that unicast addresses of the public internet come from.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);
const NAT64_LOCAL: Ipv6Net = v6([0x64, 0xff9b, 1], 48);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0], 32);

/// Ranges inside [`GLOBAL_V6`] that are not public, and names of ranges outside of it.
const RESERVED_V6: &[(Ipv6Net, &str)] = &[
    (TEREDO, "a Teredo tunnel"),
    (v6([0x2001, 0, 0], 23), "reserved for protocols"),
    (v6([0x2001, 0xdb8, 0], 32), "for documentation"),
    (SIX_TO_FOUR, "a 6to4 tunnel"),
    (v6([0x3fff, 0, 0], 20), "for documentation"),
    (v6([0, 0, 0], 127), "loopback or unspecified"),
    (NAT64_LOCAL, "a private NAT64 prefix"),
    (v6([0xfc00, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0], 8), "multicast"),
];

/// Addresses at which clouds provide credentials: never requested, whatever is allowed.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Google, Azure, Oracle, OpenStack, DigitalOcean…
    Ipv4Addr::new(169, 254, 169, 253), // AWS, DNS
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task roles
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identities
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure, WireServer: a public range
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, classic
];

const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253), // AWS, DNS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

const METADATA_NAMES: &[&str] = &[
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.com",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
];

/// Returns the reason why `ip` is not a public address; `None` for a public one.
pub(super) fn not_public(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => find_v4(ip),
        IpAddr::V6(ip) => match mapped(ip).or_else(|| translated(ip)) {
            Some(v4) => find_v4(v4),
            None => find_v6(ip),
        },
    }
}

/// Returns true if `ip`, or an IPv4 address that it wraps in any known way, provides credentials.
pub(super) fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => {
            METADATA_V6.contains(&ip) || wrapped(ip).iter().any(|v4| METADATA_V4.contains(v4))
        }
    }
}

/// Returns true if a lower-case name without a final dot is one that clouds serve credentials under.
pub(super) fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// `::ffff:a.b.c.d`, which the kernel treats as the IPv4 address itself.
pub(super) fn mapped(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    ip.to_ipv4_mapped()
}

/// Returns the IPv4 address that a NAT64 gateway on the well-known prefix translates `ip` to.
fn translated(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    NAT64.contains(&ip).then(|| tail(ip))
}

fn find_v4(ip: Ipv4Addr) -> Option<&'static str> {
    RESERVED_V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, why)| *why)
}

fn find_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let named = RESERVED_V6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, why)| *why);
    named.or_else(|| (!GLOBAL_V6.contains(&ip)).then_some("not global unicast"))
}

/// Every IPv4 address that `ip` may stand for in some tunnel or translation.
fn wrapped(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let b = ip.octets();
    let mut found = Vec::new();
    let translated_tail = b[..8] == [0; 8] || NAT64.contains(&ip) || b[8..12] == [0, 0, 0x5e, 0xfe];
    if translated_tail || b[8..12] == [2, 0, 0x5e, 0xfe] || NAT64_LOCAL.contains(&ip) {
        found.push(tail(ip));
    }
    if NAT64_LOCAL.contains(&ip) {
        found.push(Ipv4Addr::new(b[6], b[7], b[9], b[10]));
    }
    if SIX_TO_FOUR.contains(&ip) {
        found.push(Ipv4Addr::new(b[2], b[3], b[4], b[5]));
    }
    if TEREDO.contains(&ip) {
        found.push(Ipv4Addr::new(b[4], b[5], b[6], b[7]));
        found.push(Ipv4Addr::new(!b[12], !b[13], !b[14], !b[15]));
    }
    found
}

fn tail(ip: Ipv6Addr) -> Ipv4Addr {
    let b = ip.octets();
    Ipv4Addr::new(b[12], b[13], b[14], b[15])
}
