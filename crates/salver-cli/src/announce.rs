//! What a person at a terminal gets beside the startup line: the addresses other machines can use, a QR code of the first for a
//! phone, and the browser if asked for.
//!
//! Nothing of this where standard output is read by a program.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use salver::{Local, Origin};

/// What happens once the server runs.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Open the browser once the server runs
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true")]
    pub open: bool,
}

/// The URLs of this server as other machines reach it, in the order of its addresses.
pub(crate) fn reachable(origins: &[Origin]) -> Vec<String> {
    // Refused only by a sandbox; then only what was named is known.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let interfaces: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    let mut found = Vec::new();
    for Origin { scheme, local } in origins {
        let Local::Tcp(address) = local else { continue };
        for address in expand(*address, &interfaces) {
            let url = format!("{}://{address}/", scheme.as_str());
            if !found.contains(&url) {
                found.push(url);
            }
        }
    }
    found
}

/// A URL as a picture of half blocks, dark on light as cameras want it, whatever the terminal's colours are.
pub(crate) fn qr_code(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    let picture = code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Some(picture.lines().map(|line| format!("\x1b[40;97m{line}\x1b[0m")).collect::<Vec<_>>().join("\n"))
}

/// Opens the browser at the first address.
///
/// # Errors
/// A line for people: what could not be started, and the mend.
pub(crate) fn browse(origins: &[Origin]) -> Result<(), String> {
    let Some(url) = origins.iter().find_map(here) else {
        return Err("--open: a Unix socket has no address that a browser knows; add --bind 127.0.0.1".into());
    };
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        command.spawn().map_err(|error| format!("--open: {program}: {error}; open {url} yourself"))?;
    // Waited for, so that it does not stay as a zombie.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// The URL by which this machine reaches itself.
fn here(origin: &Origin) -> Option<String> {
    let Local::Tcp(address) = &origin.local else { return None };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(format!("{}://{}/", origin.scheme.as_str(), SocketAddr::new(ip, address.port())))
}

/// The addresses of others' use that `address` stands for.
fn expand(address: SocketAddr, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    let is_for_others = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // One of a link needs the link's name, which differs on every machine.
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let ips: Vec<IpAddr> = match address.ip() {
        // Every interface; the socket of IPv6 may take IPv4 too, as the system's default is.
        IpAddr::V6(ip) if ip.is_unspecified() => interfaces.to_vec(),
        IpAddr::V4(ip) if ip.is_unspecified() => {
            interfaces.iter().filter(|ip| ip.is_ipv4()).copied().collect()
        }
        ip => vec![ip],
    };
    let mut ips: Vec<IpAddr> = ips.into_iter().filter(is_for_others).collect();
    ips.sort_by_key(IpAddr::is_ipv6); // what is shorter to type comes first
    ips.into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect()
}

#[cfg(test)]
mod tests {
    use salver::Scheme;

    use super::*;

    #[test]
    fn everywhere_is_what_others_can_reach() {
        let interfaces: Vec<IpAddr> =
            ["127.0.0.1", "::1", "2001:db8::5", "192.0.2.7", "fe80::1", "169.254.1.1"]
                .map(|ip| ip.parse().unwrap())
                .to_vec();
        for (address, want) in [
            ("0.0.0.0:80", &["192.0.2.7:80"][..]),
            ("[::]:80", &["192.0.2.7:80", "[2001:db8::5]:80"]),
            ("127.0.0.1:80", &[]),
            ("198.51.100.1:80", &["198.51.100.1:80"]),
        ] {
            let found = expand(address.parse().unwrap(), &interfaces);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), want, "{address}");
        }
    }

    #[test]
    fn a_code_is_square_and_has_its_quiet_zone() {
        let code = qr_code("http://192.0.2.7:8000/").unwrap();
        let lines: Vec<_> = code.lines().collect();
        let width = lines[0].trim_start_matches("\x1b[40;97m").trim_end_matches("\x1b[0m").chars().count();
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[0].contains(&"\u{2588}".repeat(width)), "{code}");
    }

    #[test]
    fn the_browser_comes_to_this_machine() {
        let tcp = |address: &str, scheme| Origin { scheme, local: Local::Tcp(address.parse().unwrap()) };
        assert_eq!(here(&tcp("0.0.0.0:80", Scheme::Http)), Some("http://127.0.0.1:80/".into()));
        assert_eq!(here(&tcp("[::]:80", Scheme::Https)), Some("https://[::1]:80/".into()));
        let unix = Origin { scheme: Scheme::Http, local: Local::Unix("/run/s".into()) };
        assert!(browse(&[unix]).unwrap_err().contains("add --bind"));
    }
}
