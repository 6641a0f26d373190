//! IP addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(feature = "sqlx-ipnetwork")]
use ipnetwork::IpNetwork;
use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

/// A network as the host has it. `addr` may have bits behind the prefix.
fn to_host(addr: IpAddr, prefix: u8) -> sql::IpNetwork {
    match addr {
        IpAddr::V4(addr) => sql::IpNetwork::V4(sql::Ipv4Network {
            addr: addr.into(),
            prefix,
        }),
        IpAddr::V6(addr) => {
            let addr = u128::from(addr);
            sql::IpNetwork::V6(sql::Ipv6Network {
                addr: (addr as u64, (addr >> 64) as u64),
                prefix,
            })
        }
    }
}

fn from_host(network: sql::IpNetwork) -> (IpAddr, u8) {
    match network {
        sql::IpNetwork::V4(network) => (Ipv4Addr::from(network.addr).into(), network.prefix),
        sql::IpNetwork::V6(network) => {
            let (low, high) = network.addr;
            let addr = u128::from(high) << 64 | u128::from(low);
            (Ipv6Addr::from(addr).into(), network.prefix)
        }
    }
}

fn bits(addr: &IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn address_to_host(addr: &IpAddr) -> sql::IpNetwork {
    to_host(*addr, bits(addr))
}

fn address_from_host(network: sql::IpNetwork) -> Result<IpAddr, BoxDynError> {
    let (addr, prefix) = from_host(network);
    if prefix == bits(&addr) {
        Ok(addr)
    } else {
        Err(format!("{addr}/{prefix} is a network, not an address").into())
    }
}

#[cfg(feature = "sqlx-ipnetwork")]
fn network_to_host(network: &IpNetwork) -> sql::IpNetwork {
    to_host(network.ip(), network.prefix())
}

#[cfg(feature = "sqlx-ipnetwork")]
fn network_from_host(network: sql::IpNetwork) -> Result<IpNetwork, BoxDynError> {
    let (addr, prefix) = from_host(network);
    Ok(IpNetwork::new(addr, prefix)?)
}

macro_rules! inet {
    ($rust:ty: $to_host:ident $from_host:ident) => {
        impl Type<Durable> for $rust {
            fn type_info() -> TypeInfo {
                TypeInfo::inet()
            }
        }

        impl<'q> Encode<'q, Durable> for $rust {
            fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
                buffer.push(Value::new(sql::Value::inet($to_host(self))?));
                Ok(IsNull::No)
            }
        }

        impl<'r> Decode<'r, Durable> for $rust {
            fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
                $from_host(value.read::<Self, _>(sql::Value::as_inet)?)
            }
        }

        impl Element for $rust {
            fn array_type_info() -> TypeInfo {
                TypeInfo::inet_array()
            }

            fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
                let elements: Vec<_> = elements.iter().map($to_host).collect();
                Ok(Value::new(sql::Value::inet_array(&elements)?))
            }

            fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
                let elements = value.read::<Vec<Self>, _>(sql::Value::as_inet_array)?;
                elements.into_iter().map($from_host).collect()
            }
        }
    };
}

inet!(IpAddr: address_to_host address_from_host);
#[cfg(feature = "sqlx-ipnetwork")]
inet!(IpNetwork: network_to_host network_from_host);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive() {
        for addr in [
            "127.0.0.1",
            "255.255.255.255",
            "::1",
            "2001:db8::ff00:42:8329",
        ] {
            let addr: IpAddr = addr.parse().unwrap();
            assert_eq!(address_from_host(address_to_host(&addr)).unwrap(), addr);
        }
    }

    #[test]
    fn the_low_half_of_an_address_comes_first() {
        let addr: IpAddr = "1:2:3:4:5:6:7:8".parse().unwrap();
        let sql::IpNetwork::V6(network) = address_to_host(&addr) else {
            panic!("not version 6");
        };
        assert_eq!(network.addr, (0x0005_0006_0007_0008, 0x0001_0002_0003_0004));
        assert_eq!(network.prefix, 128);
    }

    #[test]
    fn a_network_is_not_an_address() {
        let network = to_host("10.0.0.0".parse().unwrap(), 8);
        let error = address_from_host(network).unwrap_err();
        assert_eq!(error.to_string(), "10.0.0.0/8 is a network, not an address");
    }

    #[cfg(feature = "sqlx-ipnetwork")]
    #[test]
    fn networks_survive_with_the_bits_behind_their_prefix() {
        for network in ["10.1.2.3/8", "0.0.0.0/0", "2001:db8::1/64"] {
            let network: IpNetwork = network.parse().unwrap();
            assert_eq!(
                network_from_host(network_to_host(&network)).unwrap(),
                network
            );
        }
    }
}
