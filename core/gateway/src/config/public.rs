//! Which addresses are out on the internet, and which lead back into the operator's own networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not for everybody to reach: IANA's special-purpose registry, multicast, what is reserved, and
/// Azure's host agent, which answers on an address that looks public.
const INWARD_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local: the metadata services of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Parts of the global unicast space that lead elsewhere: protocol assignments with Teredo, documentation, 6to4.
const INWARD_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is out on the internet. What carries an IPv4 address inside counts as that address.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !in_v4(ip, &INWARD_V4),
        IpAddr::V6(ip) => match carried(ip) {
            Some(inner) => is_public(IpAddr::V4(inner)),
            // Nothing but 2000::/3 is given out for global unicast.
            None => ip.segments()[0] & 0xe000 == 0x2000 && !in_v6(ip, &INWARD_V6),
        },
    }
}

/// Where clouds answer with the credentials of the machine that asks: link-local addresses, and those of Azure's and
/// Alibaba's agents.
const METADATA_V4: [(Ipv4Addr, u32); 3] = [
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(100, 100, 100, 200), 32),
];

/// The same: link-local addresses, all of Amazon's (`::254`, and `::23` of EKS), Google's, Oracle's and Scaleway's.
const METADATA_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
];

/// Whether an address is one at which a cloud hands out credentials. No provider is there: a name that leads to it was
/// made to.
#[must_use]
pub fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => in_v4(ip, &METADATA_V4),
        IpAddr::V6(ip) => match carried(ip) {
            Some(inner) => is_metadata(IpAddr::V4(inner)),
            None => in_v6(ip, &METADATA_V6),
        },
    }
}

/// The IPv4 address inside of a mapped one, or of one that a NAT64 at the well-known prefix translates.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = ip.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

fn in_v4(ip: Ipv4Addr, nets: &[(Ipv4Addr, u32)]) -> bool {
    nets.iter().any(|(net, bits)| within(ip.to_bits(), net.to_bits(), 32 - bits))
}

fn in_v6(ip: Ipv6Addr, nets: &[(Ipv6Addr, u32)]) -> bool {
    nets.iter().any(|(net, bits)| within(ip.to_bits(), net.to_bits(), 128 - bits))
}

/// Whether two addresses are the same but for their last bits.
fn within<T: std::ops::Shr<u32, Output = T> + PartialEq>(ip: T, net: T, last: u32) -> bool {
    ip >> last == net >> last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_clouds_hand_out_credentials_is_known() {
        for metadata in [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::a9fe:a9fe",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
        ] {
            let ip = metadata.parse().unwrap();
            assert!(is_metadata(ip) && !is_public(ip), "{metadata}");
        }
        for other in ["127.0.0.1", "10.0.0.1", "100.100.100.201", "192.168.1.1", "fd00::1", "::1", "1.1.1.1"]
        {
            assert!(!is_metadata(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_leads_inward_is_told_from_what_is_out_there() {
        for inward in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.1.2.3",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:0:53aa::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
        ] {
            assert!(!is_public(inward.parse().unwrap()), "{inward} leads inward");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80e::200e",
            "3ffe::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public} is public");
        }
    }
}
