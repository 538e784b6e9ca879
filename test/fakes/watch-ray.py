"""The nodes of a real Ray cluster for the fake vLLM, as fake-ray.mjs tells its own: a line of JSON with every change."""

import json
import os
import time

import ray

ray.init(address=os.environ["RAY_ADDRESS"], logging_level="ERROR", log_to_driver=False)
told = None
while True:
    now = [{"ip": node["NodeManagerAddress"], "cards": 1} for node in ray.nodes() if node["Alive"]]
    if now != told:
        told = now
        print(json.dumps(now), flush=True)
    time.sleep(0.3)
