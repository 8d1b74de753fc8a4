"""Asks a chat endpoint with the official client, as examples/model_bench does with ours.

usage: endpoint_openai.py BASE_URL CALLS CONCURRENCY
Prints CPU-ms a call, calls a CPU second, calls a second, peak MB.
"""
import asyncio
import json
import os
import pathlib
import resource
import sys
import time

from openai import AsyncOpenAI

url, calls, concurrency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
root = pathlib.Path(__file__).parents[2]
schema = json.loads((root / "schemas/instruct.json").read_text())
system = (root / "prompts/instruct.v1.md").read_text()


async def main():
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=4, timeout=120)
    numbers = iter(range(calls))
    replies = []

    async def worker():
        for n in numbers:
            reply = await client.chat.completions.create(
                model="m", max_tokens=1024, temperature=0.7, seed=1,
                messages=[{"role": "system", "content": system},
                          {"role": "user", "content": f"Boat number {n} lies in a harbour."}],
                response_format={"type": "json_schema", "json_schema": {
                    "name": "instructions", "strict": True, "schema": schema}})
            replies.append(json.loads(reply.choices[0].message.content)["instructions"])

    began, cpu = time.time(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    wall, cpu = time.time() - began, time.process_time() - cpu
    assert len(replies) == calls
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{cpu * 1000 / calls:.4f} {calls / cpu:.0f} {calls / wall:.0f} {peak}")


asyncio.run(main())
