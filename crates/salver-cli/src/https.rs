//! HTTPS as the command has it: where its certificates come from, and who is sent there.

use salver::StartError;
use salver::tls::Tls;

use crate::options::Options as All;

/// HTTPS.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// With HTTPS: listen on this port too, in the clear, and send whoever comes there to https
    #[arg(long, value_name = "PORT")]
    pub redirect_http: Option<u16>,
}

/// TLS as the options ask for it; `None` where nothing is encrypted.
///
/// # Errors
/// One line: a certificate or key that is no good, or options that make no sense without HTTPS.
pub(crate) fn open(options: &All) -> Result<Option<Tls>, StartError> {
    let asked = !options.tls.tls_cert.is_empty();
    if !asked {
        let alone = [
            (!options.tls.tls_key.is_empty(), "--tls-key"),
            (options.tls.tls_password_file.is_some(), "--tls-password-file"),
            (options.tls.client_ca.is_some(), "--client-ca"),
            (options.tls.client_auth.is_some(), "--client-auth"),
            (options.https.redirect_http.is_some(), "--redirect-http"),
        ];
        return match alone.into_iter().find(|(given, _)| *given) {
            Some((_, option)) => {
                Err(StartError::new(format!("{option}: HTTPS is not spoken; add --tls-cert FILE")))
            }
            None => Ok(None),
        };
    }
    Tls::open(&options.tls).map(Some)
}
