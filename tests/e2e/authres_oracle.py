#!/usr/bin/python3
"""What authres (Debian's python3-authres) reads and writes: JSON in, JSON out; 77 where it is not installed.

In: {"read": [field, ...], "write": [{"id", "results": [{"method", "result", "reason", "properties"}]}]}.
Out: {"read": [{"id", "results"} or null, ...], "write": [field, ...]}.
"""

import json
import sys

try:
    import authres
except ImportError:
    sys.exit(77)


def read(field):
    try:
        header = authres.AuthenticationResultsHeader.parse(field)
    except Exception as why:  # its own errors are of several kinds
        return {"error": str(why)}
    return {"id": header.authserv_id,
            "results": [{"method": result.method, "result": result.result, "reason": result.reason or "",
                         "properties": [[p.type, p.name, p.value] for p in result.properties]}
                        for result in header.results]}


def write(header):
    results = []
    for result in header["results"]:
        properties = [authres.core.AuthenticationResultProperty(*p) for p in result["properties"]]
        results.append(authres.AuthenticationResult(result["method"], result=result["result"],
                                                    reason=result["reason"] or None, properties=properties))
    return str(authres.AuthenticationResultsHeader(authserv_id=header["id"], results=results))


question = json.load(sys.stdin)
json.dump({"read": [read(field) for field in question["read"]],
           "write": [write(header) for header in question["write"]]}, sys.stdout)
