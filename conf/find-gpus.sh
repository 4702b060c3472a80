#!/bin/sh
# The GPUs of a machine, as Spark wants to be told of them: spark.worker.resource.gpu.discoveryScript of a standalone worker,
# spark.executor.resource.gpu.discoveryScript on YARN and Kubernetes. Without a driver there are none.
addresses=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | sed 's/.*/"&"/' | paste -s -d , -)
echo "{\"name\": \"gpu\", \"addresses\": [$addresses]}"
