"""The webhook one would write: FastAPI, the same model validated, one XADD for each request.

It checks no signature, recognises no repetition, limits no rate and gives no receipt that can be asked for later. Run
by uvicorn; `BENCH_REDIS_URL` says where Redis is.
"""

import os
import uuid

from fastapi import FastAPI
from redis.asyncio import Redis

from services.ingest.adapters.json_report import JsonReport

app = FastAPI()
redis = Redis.from_url(os.environ["BENCH_REDIS_URL"])


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether it runs."""
    return {"status": "alive"}


@app.post("/v1/reports/{source}", status_code=202)
async def take(source: str, report: JsonReport) -> dict[str, str]:
    """Keep one report."""
    receipt = str(uuid.uuid4())
    await redis.xadd("bench:fastapi", {"receipt": receipt, "source": source, "body": report.model_dump_json()})
    return {"receipt": receipt, "status_url": f"/v1/receipts/{receipt}"}
