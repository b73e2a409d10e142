//! A [`Report`] as Prometheus reads it. Names and units follow its conventions: totals end in `_total`, times are seconds.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use salver::meter::{BUCKETS, MountSnapshot};

use crate::supervisor::message::{PYTHON_SECONDS, TAKE_OVERS};
use crate::supervisor::report::Report;

/// The text of `/metrics`.
pub(super) fn render(report: &Report) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Numbers(report.clone())));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Numbers(Report);

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(report) = self;
        let counts = &report.counts;
        requests(&mut encoder, &counts.mounts)?;
        durations(&mut encoder, &counts.mounts)?;
        for (name, help, value) in [
            ("salver_requests_in_flight", "Requests under way", counts.in_flight),
            ("salver_connections", "Open connections", counts.connections),
            ("salver_generation", "How often the configuration was loaded", report.generation),
        ] {
            gauge(&mut encoder, name, help, value as f64)?;
        }
        gauge(&mut encoder, "salver_uptime_seconds", "Seconds since the start", report.uptime)?;
        let memory = report.workers.iter().map(|worker| worker.rss).sum::<u64>();
        gauge(
            &mut encoder,
            "salver_workers_resident_bytes",
            "Memory of the processes that serve",
            memory as f64,
        )?;
        workers(&mut encoder, report)?;
        for (name, help, value) in [
            ("salver_connections_accepted", "Connections accepted", counts.accepted),
            ("salver_response_bytes", "Bytes of content sent", counts.bytes_sent),
            ("salver_worker_restarts", "Workers started in the place of one that died", report.restarts),
            ("salver_worker_replacements", "Workers replaced at a limit", report.replacements),
        ] {
            counter(&mut encoder, name, help, value as f64)?;
        }
        for (name, value) in &report.totals {
            let help = match name.as_str() {
                TAKE_OVERS => "How often a thread took the loop over from one that was in a call",
                PYTHON_SECONDS => "Time in calls of applications, those of all threads together",
                _ => "Counted by workers",
            };
            counter(&mut encoder, &format!("salver_{name}"), help, *value)?;
        }
        Ok(())
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, mounts: &[MountSnapshot]) -> fmt::Result {
    let help = "Requests answered, by mount and status";
    let mut family = encoder.encode_descriptor("salver_requests", help, None, MetricType::Counter)?;
    for mount in mounts {
        for (status, count) in &mount.statuses {
            let labels = [("mount", mount.prefix.clone()), ("status", status.to_string())];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(count, None)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, mounts: &[MountSnapshot]) -> fmt::Result {
    let help = "How long requests took, from their head to the end of their answer";
    let name = "salver_request_duration_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for mount in mounts.iter().filter(|mount| mount.buckets.iter().any(|count| *count > 0)) {
        let ends = BUCKETS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = ends.zip(mount.buckets.iter().copied()).collect();
        let count = mount.buckets.iter().sum();
        family.encode_family(&[("mount", mount.prefix.clone())])?.encode_histogram::<NoLabelSet>(
            mount.seconds,
            count,
            &buckets,
            None,
        )?;
    }
    Ok(())
}

fn workers(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let help = "Worker processes, by what they are about";
    let mut family = encoder.encode_descriptor("salver_workers", help, None, MetricType::Gauge)?;
    for state in ["starting", "ready", "draining", "stopping"] {
        let count = report.workers.iter().filter(|worker| worker.state == state).count();
        family.encode_family(&[("state", state)])?.encode_gauge(&(count as f64))?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)
}

#[cfg(test)]
mod tests {
    use salver::meter::Snapshot;

    use super::*;

    #[test]
    fn numbers_have_the_names_that_prometheus_expects() {
        let mount = MountSnapshot {
            prefix: "/a\"b".into(),
            statuses: vec![(200, 3), (404, 1)],
            buckets: vec![2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            seconds: 11.5,
        };
        let counts = Snapshot { in_flight: 2, bytes_sent: 10, mounts: vec![mount], ..Snapshot::default() };
        let mut report = Report { counts, restarts: 4, ..Report::default() };
        report.totals.insert(TAKE_OVERS.into(), 7.0);
        report.totals.insert(PYTHON_SECONDS.into(), 1.25);
        let text = render(&report).unwrap();
        for line in [
            "# TYPE salver_requests_total counter",
            "salver_requests_total{mount=\"/a\\\"b\",status=\"200\"} 3",
            "salver_requests_total{mount=\"/a\\\"b\",status=\"404\"} 1",
            "# TYPE salver_request_duration_seconds histogram",
            "salver_request_duration_seconds_bucket{mount=\"/a\\\"b\",le=\"0.001\"} 2",
            "salver_request_duration_seconds_bucket{mount=\"/a\\\"b\",le=\"0.0025\"} 3",
            "salver_request_duration_seconds_bucket{mount=\"/a\\\"b\",le=\"+Inf\"} 4",
            "salver_request_duration_seconds_sum{mount=\"/a\\\"b\"} 11.5",
            "salver_requests_in_flight 2.0",
            "salver_response_bytes_total 10.0",
            "salver_worker_restarts_total 4.0",
            "salver_take_overs_total 7.0",
            "salver_python_seconds_total 1.25",
            "salver_workers{state=\"ready\"} 0.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
