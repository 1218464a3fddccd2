-- Where an analyst starts. Days are Indonesian civil days in WIB.

-- Per region and day: what was reported, how risky, what was done to prevent it, and what is open.
CREATE OR REPLACE VIEW region_risk AS
SELECT daily.*, ifNull(open.alerts, 0) AS open_alerts
FROM
(
    SELECT
        region_code,
        any(region_name) AS region_name,
        toDate(coalesce(occurred_at, received_at), 'Asia/Jakarta') AS day,
        count() AS reports,
        uniqExactIf(incident_id, kind = 'violation_report') AS incidents,
        countIf(kind = 'violation_report') AS violation_reports,
        max(neutrality_risk) AS neutrality_risk,
        max(money_politics_risk) AS money_politics_risk,
        max(other_risk) AS other_risk,
        countIf(kind = 'prevention') AS prevention_activities,
        countIf(kind = 'classify_failed') AS not_classified
    FROM report_rows FINAL
    GROUP BY region_code, day
) AS daily
LEFT JOIN
(
    SELECT region_code, count() AS alerts FROM alerts WHERE state != 'resolved' GROUP BY region_code
) AS open
USING (region_code);

-- Where violations are reported and little is done to prevent them; the greatest gap first.
CREATE OR REPLACE VIEW prevention_coverage AS
SELECT
    region_code,
    any(region_name) AS region_name,
    uniqExactIf(incident_id, kind = 'violation_report') AS incidents,
    countIf(kind = 'prevention') AS prevention_activities,
    round(incidents / (prevention_activities + 1), 2) AS incidents_per_activity
FROM report_rows FINAL
WHERE region_code != ''
GROUP BY region_code
ORDER BY incidents_per_activity DESC, incidents DESC;

-- How often officers confirm what the classifier found.
CREATE OR REPLACE VIEW classifier_quality AS
SELECT
    code,
    count() AS verdicts,
    countIf(verdict = 'confirmed') AS confirmed,
    countIf(verdict = 'rejected') AS rejected,
    countIf(verdict = 'unclear') AS unclear,
    round(confirmed / nullIf(confirmed + rejected, 0), 3) AS precision
FROM verdict_rows FINAL
GROUP BY code;
