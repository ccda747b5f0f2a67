"""Every metric, in one file. Labels are bounded: names from the site, slugs from tables in code.

No label ever holds a UID, an address, an AE title of a stranger or anything about a patient.
docs/metrics.md explains each for the person who is woken by it.
"""

from prometheus_client import Counter, Gauge, Histogram

# Receiving a slice takes a millisecond, a flush on a tired disk a second, 2 GB a minute.
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# From the modality to the archive: well under a second, or after a weekend of a dead archive.
LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)

OBJECTS_RECEIVED = Counter(
    "dicom_router_objects_received_total",
    "C-STORE requests answered, by what they were answered.",
    ["listener", "outcome"],
)
BYTES_RECEIVED = Counter(
    "dicom_router_bytes_received_total", "Bytes of accepted data sets.", ["listener"]
)
ASSOCIATIONS = Counter(
    "dicom_router_associations_total",
    "Association requests, by whether and why not they were accepted.",
    ["listener", "outcome"],
)
SOURCE_ASSOCIATIONS = Counter(
    "dicom_router_source_associations_total",
    "Associations accepted from each source that the site lists.",
    ["source"],
)
ASSOCIATIONS_OPEN = Gauge(
    "dicom_router_associations_open",
    "Associations open now.",
    ["listener"],
    multiprocess_mode="livesum",
)
RECEIVE_SECONDS = Histogram(
    "dicom_router_receive_seconds",
    "From an object's C-STORE request to its last byte.",
    buckets=SHORT,
)
DURABLE_SECONDS = Histogram(
    "dicom_router_durable_seconds",
    "From an object's last byte until it is safe on disk.",
    buckets=SHORT,
)
RECOVERED = Counter(
    "dicom_router_recovered_objects_total",
    "Objects that a scan found in the spool and not in the ledger.",
    ["outcome"],
)
LOOPS = Counter(
    "dicom_router_loops_total",
    "Objects held because they came in again and again.",
    ["listener"],
)
FREE_BYTES = Gauge(
    "dicom_router_free_bytes", "Free bytes on the disk that objects are received on."
)
SPOOL_WAITING = Gauge(
    "dicom_router_spool_waiting", "Objects in the spool on their way to a store elsewhere."
)
CARRY_SECONDS = Histogram(
    "dicom_router_carry_seconds",
    "From an object's reception to the store elsewhere that has it.",
    buckets=LONG,
)
STORE_FAILURES = Counter(
    "dicom_router_store_failures_total",
    "Requests that the store did not carry out, by what was asked of it.",
    ["operation"],
)
OBJECTS_ROUTED = Counter(
    "dicom_router_objects_routed_total", "Objects routed, by what became of them.", ["outcome"]
)
ROUTE_SECONDS = Histogram(
    "dicom_router_route_seconds",
    "Reading, matching, editing and recording, for each object.",
    buckets=SHORT,
)
RELOADS = Counter(
    "dicom_router_reloads_total",
    "Changes of the site's files and rules, by what became of them.",
    ["outcome"],
)
FILES_REFUSED = Gauge(
    "dicom_router_files_refused",
    "1: the files on disk have mistakes; what was in force before them stays.",
)
RULES_ROLLED_BACK = Gauge(
    "dicom_router_rules_rolled_back",
    "1: an earlier version of the rules is in force, and not the files'.",
)
SHADOW = Counter(
    "dicom_router_shadow_objects_total",
    "Objects on which a shadow rule set decided, too, by what it would do differently.",
    ["outcome"],
)
OBJECTS_FORGOTTEN = Counter(
    "dicom_router_objects_forgotten_total",
    "Objects deleted from the store after their retention.",
)
VAULT_QUESTIONS = Counter(
    "dicom_router_vault_questions_total",
    "What people asked of the vault, as its audit has it.",
    ["action", "outcome"],
)
HISTORIES_ENDED = Counter(
    "dicom_router_histories_ended_total",
    "Objects whose rows were dropped after the time that the history is kept.",
)
BUNDLES_OPEN = Gauge("dicom_router_bundles_open", "Bundles that wait for more objects.")
BUNDLES_CLOSED = Counter(
    "dicom_router_bundles_closed_total", "Bundles closed and routed, by why they were.", ["outcome"]
)
DELIVERIES = Counter(
    "dicom_router_deliveries_total",
    "Attempts to deliver, by outcome.",
    ["destination", "outcome"],
)
BYTES_DELIVERED = Counter(
    "dicom_router_bytes_delivered_total", "Bytes of delivered data sets.", ["destination"]
)
DELIVERIES_MOVED = Counter(
    "dicom_router_deliveries_moved_total",
    "Deliveries taken over from a member of their group that is down.",
    ["destination"],
)
DELIVER_SECONDS = Histogram(
    "dicom_router_deliver_seconds",
    "One attempt, from the request to the answer.",
    ["destination"],
    buckets=SHORT,
)
END_TO_END_SECONDS = Histogram(
    "dicom_router_end_to_end_seconds",
    "From reception to delivery.",
    ["destination"],
    buckets=LONG,
)
DESTINATION_ASSOCIATIONS = Counter(
    "dicom_router_destination_associations_total",
    "Associations asked for, by whether and why not they were accepted.",
    ["destination", "outcome"],
)
DESTINATION_ASSOCIATIONS_OPEN = Gauge(
    "dicom_router_destination_associations_open",
    "Associations open now, at work or kept for what comes next.",
    ["destination"],
)
COMMITMENTS = Counter(
    "dicom_router_commitments_total",
    "Objects that destinations were asked to commit, by what they answered.",
    ["destination", "outcome"],
)
COMMITMENT_REQUESTS = Counter(
    "dicom_router_commitment_requests_total",
    "Requests to commit, by what became of them.",
    ["destination", "outcome"],
)
COMMITMENT_REPORTS = Counter(
    "dicom_router_commitment_reports_total",
    "Reports of destinations, by what they were good for.",
    ["outcome"],
)
COMMITMENT_ORDERS = Counter(
    "dicom_router_commitment_orders_total",
    "Requests of modalities to commit, and attempts to report, by what became of them.",
    ["outcome"],
)
COMMITMENTS_PENDING = Gauge(
    "dicom_router_commitments_pending",
    "Delivered objects of which the destination has not proven yet that it keeps them.",
    ["destination"],
)
COMMITMENT_OLDEST_SECONDS = Gauge(
    "dicom_router_commitment_oldest_seconds",
    "For how long the oldest of them has waited since it was delivered.",
    ["destination"],
)
COMMITMENT_ORDERS_OPEN = Gauge(
    "dicom_router_commitment_orders_open",
    "Requests of modalities to commit that are not reported yet.",
    ["state"],
)
COMMITMENT_SECONDS = Histogram(
    "dicom_router_commitment_seconds",
    "From delivery to the destination's proof that it keeps the object.",
    ["destination"],
    buckets=LONG,
)
RECONCILED = Counter(
    "dicom_router_reconciled_objects_total",
    "Objects that were looked for at a destination on its schedule, by what was found.",
    ["destination", "outcome"],
)
RECONCILIATION_FAILURES = Counter(
    "dicom_router_reconciliation_failures_total",
    "Times that a destination did not tell what it has, by why.",
    ["destination", "outcome"],
)
RECONCILIATION_FINDINGS = Gauge(
    "dicom_router_reconciliation_findings",
    "Findings of the last reconciliation that was finished.",
    ["destination", "finding"],
)
RECONCILIATION_OVERDUE_SECONDS = Gauge(
    "dicom_router_reconciliation_overdue_seconds",
    "For how long a reconciliation should have been done, by its schedule.",
    ["destination"],
)
PERFORMED_STEPS = Counter(
    "dicom_router_performed_steps_total",
    "Messages of modalities on performed procedure steps, and steps that ended, by outcome.",
    ["outcome"],
)
PERFORMED_STEPS_INCOMPLETE = Gauge(
    "dicom_router_performed_steps_incomplete",
    "Performed procedure steps of which instances have not come in, and are looked for.",
)
DESTINATION_UP = Gauge(
    "dicom_router_destination_up",
    "1: deliveries flow; 0: down, one probe at a time.",
    ["destination"],
)
DESTINATION_STOPPED = Gauge(
    "dicom_router_destination_stopped",
    "1: a person stopped it, and what it is owed waits.",
    ["destination"],
)
QUEUE_DEPTH = Gauge(
    "dicom_router_queue_depth", "Deliveries that are not final.", ["destination", "state"]
)
QUEUE_OLDEST_SECONDS = Gauge(
    "dicom_router_queue_oldest_seconds",
    "For how long the oldest delivery waits that could have been sent.",
    ["destination"],
)
UNFINISHED_OBJECTS = Gauge(
    "dicom_router_unfinished_objects",
    "Objects that are not routed yet, or wait for a person.",
    ["state"],
)
INTAKE_WAITING = Gauge(
    "dicom_router_intake_waiting_objects",
    "Objects that were acknowledged and are not in the ledger yet.",
    multiprocess_mode="livesum",
)
LEADING = Gauge(
    "dicom_router_leading",
    "1: this process conducts; 0: it stands by.",
    multiprocess_mode="livesum",
)
TASK_FAILURES = Counter(
    "dicom_router_task_failures_total",
    "Errors nobody foresaw, caught by the task that ran into them.",
    ["task"],
)
DEAD_TICKETS = Counter(
    "dicom_router_dead_tickets_total",
    "Broker messages put aside because nobody understood them.",
)
OBJECTS_TRANSCODED = Counter(
    "dicom_router_objects_transcoded_total",
    "Objects whose pixels were to be changed, by whether they could be.",
    ["outcome"],
)
TRANSCODE_SECONDS = Histogram(
    "dicom_router_transcode_seconds",
    "Changing the pixels of an object, all its frames.",
    buckets=SHORT,
)
TEXT_SEARCHES = Counter(
    "dicom_router_text_searches_total",
    "De-identified objects whose pictures were searched for text, by what came of it.",
    ["outcome"],
)
TEXT_SEARCH_SECONDS = Histogram(
    "dicom_router_text_search_seconds",
    "Searching the pictures of one object for text.",
    buckets=SHORT,
)
CODEC_PROCESSES_LOST = Counter(
    "dicom_router_codec_processes_lost_total",
    "Codec processes that a frame broke, by how.",
    ["outcome"],
)
