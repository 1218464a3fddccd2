"""All metrics of all services: what each measures, and what to do when it is high."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Submissions answered 202, by source. Flat while people report: look at the senders' side and the rejections.
accepted = Counter("salingjaga_submissions_accepted_total", "Submissions kept and answered 202", ["source"])
# Submissions known already (same receipt, same content). High: a sender retries what it was told is kept.
repeated = Counter("salingjaga_submissions_repeated_total", "Submissions that were known already", ["source"])
# Requests refused, by HTTP status. 401: a wrong secret or an attack. 503: see the backlog.
refused = Counter("salingjaga_requests_refused_total", "Requests refused", ["source", "status"])

# Messages settled, by stream and consumer group. Flat with a growing backlog: the service is stuck, see its log.
messages = Counter("salingjaga_messages_total", "Messages handled and acknowledged", ["stream", "group"])
# Messages put aside. Any: `salingjaga quarantine list`.
quarantined = Counter("salingjaga_quarantined_total", "Messages put into quarantine", ["stream", "group"])
# Messages taken over from consumers that died. Steady growth: a service keeps dying, see its supervisor.
claimed = Counter("salingjaga_claimed_total", "Messages taken over from dead consumers", ["stream", "group"])
# Entries a stream holds. Growing: the slowest group cannot keep up, add replicas.
backlog = Gauge("salingjaga_stream_entries", "Entries in a stream", ["stream"])
# Seconds for one batch, handled and settled. High: the target (ClickHouse, Redis) is slow.
batch_seconds = Histogram("salingjaga_batch_seconds", "Seconds for one batch", ["stream", "group"], buckets=_FAST)

# Reports that joined the incident of an earlier, differently worded one. Falls to nothing in a flood: see the next.
joined = Counter("salingjaga_reports_joined_total", "Reports joined to an earlier incident")
# Texts that were not remembered because the memory for incidents is full: raise SALINGJAGA_INCIDENT_MEGABYTES.
incidents_not_remembered = Counter("salingjaga_incidents_not_remembered_total", "Texts not remembered: memory full")

# Messages that belong to a conversation of several, each time they are handled. Nothing while messengers are in use:
# look at `join_minutes` in sources.yaml and at SALINGJAGA_SENDER_KEY.
messages_joined = Counter("salingjaga_messages_joined_total", "Messages of conversations that are one report")

# Assessments whose classification failed. Any: they are not clean; see the log of classify.
classify_failed = Counter("salingjaga_classify_failed_total", "Reports whose classification failed")
# Rows written to ClickHouse, by table.
archived_rows = Counter("salingjaga_archived_rows_total", "Rows written to ClickHouse", ["table"])
# What happened to alerts. `no_notification_sent`: an alert reached nobody, look at officers.yaml and its channels;
# `escalated` growing: nobody acknowledges.
alert_events = Counter("salingjaga_alert_events_total", "Events of alerts", ["event"])
# Open alerts that reached none of those whom they concern, as of the last look around. Any: `salingjaga alerts list`
# marks them; look at officers.yaml and its channels. They are told as soon as officers.yaml changes.
untold_alerts = Gauge("salingjaga_untold_alerts", "Open alerts that reached nobody whom they concern")
# Notifications by outcome. `held`: quiet hours or an officer's limit, a summary follows. `abandoned`: an officer was
# not reached, look at the officer's channel.
deliveries = Counter("salingjaga_deliveries_total", "Notifications by outcome", ["outcome"])
# Seconds from a report's receipt to its notification's hand-over. p99 above 1 for critical: see the backlog.
notify_seconds = Histogram("salingjaga_notify_seconds", "Seconds from receipt to notification", buckets=_FAST)
