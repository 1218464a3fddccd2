-- How each alert was answered: when somebody was reached, who took it and how fast, how far it had to climb. Times that
-- never came are NULL.
CREATE OR REPLACE VIEW alert_response AS
SELECT
    alert_id,
    any(region_code) AS region_code,
    any(region_name) AS region_name,
    any(risk_class) AS risk_class,
    argMax(severity, sequence) AS severity,
    argMax(state, sequence) AS state,
    min(opened_at) AS opened_at,
    minOrNullIf(at, event = 'notification_sent') AS first_told_at,
    minOrNullIf(at, event = 'acknowledged') AS first_acknowledged_at,
    argMinIf(actor, sequence, event = 'acknowledged') AS first_acknowledged_by,
    minOrNullIf(at, event = 'resolved') AS resolved_at,
    countIf(event = 'escalated') AS escalations,
    countIf(event = 'no_notification_sent') AS unreached,
    dateDiff('second', opened_at, first_told_at) AS seconds_to_told,
    dateDiff('second', opened_at, first_acknowledged_at) AS seconds_to_acknowledged,
    dateDiff('second', opened_at, resolved_at) AS seconds_to_resolved
FROM alert_event_rows FINAL
GROUP BY alert_id;
