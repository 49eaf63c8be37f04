"""A client's view: one thread with boto3. URL get|put SIZE SECONDS; prints a line of JSON."""

from __future__ import annotations

import json
import random
import sys
import time

import boto3

from benchmarks.signing import ACCESS_KEY, REGION, SECRET_KEY
from benchmarks.stats import percentile


def main() -> None:
    """Ask as long as there is time."""
    url, verb, size, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY
    )
    chance = random.Random(6)
    s3.put_object(Bucket="bench", Key="boto3", Body=chance.randbytes(size))
    latencies_us: list[float] = []
    began_s = now_s = time.perf_counter()
    while now_s - began_s < seconds or not latencies_us:
        if verb == "put":
            s3.put_object(Bucket="bench", Key=f"boto3/{len(latencies_us) % 1000}", Body=chance.randbytes(size))
        else:
            assert len(s3.get_object(Bucket="bench", Key="boto3")["Body"].read()) == size
        before_s, now_s = now_s, time.perf_counter()
        latencies_us.append((now_s - before_s) * 1e6)
    told = {
        "requests": len(latencies_us),
        "seconds": now_s - began_s,
        "p50_us": percentile(latencies_us, 0.5),
        "p99_us": percentile(latencies_us, 0.99),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
