"""A lock for other tools: a CycloneDX bill of materials, or the statement that OpenSSF Model Signing signs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from weightscope import __version__
from weightscope.analyses.lock.record import Lock
from weightscope.escapes import json_text

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def cyclonedx(lock: Lock, name: str, architecture: str) -> Iterator[str]:
    """A CycloneDX 1.6 document: the model as a machine-learning-model component, each of its files with its hash."""
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": lock.repository or name,
        **({"version": lock.revision} if lock.revision else {}),
        "modelCard": {
            "modelParameters": {
                **({"architectureFamily": lock.model_type} if lock.model_type else {}),
                **({"modelArchitecture": architecture} if architecture else {}),
            }
        },
        "properties": [
            {"name": "weightscope:lock_version", "value": str(lock.lock_version)},
            {"name": "weightscope:algorithm", "value": lock.algorithm or "none"},
            *([{"name": "weightscope:root", "value": lock.root}] if lock.root else []),
            {"name": "weightscope:weights", "value": str(len(lock.weights))},
        ],
    }
    files = [
        {
            "type": "file",
            "bom-ref": f"file:{path}",
            "name": path,
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        }
        for path, file in sorted((lock.files or {}).items())
    ]
    tool = {"type": "application", "name": "weightscope", "version": __version__}
    document = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": model},
        "components": files,
        "dependencies": [{"ref": "model", "dependsOn": [file["bom-ref"] for file in files]}],
    }
    yield json_text(document) + "\n"


def oms(lock: Lock, name: str) -> Iterator[str]:
    """The in-toto statement that `model_signing` 1.1 signs of the same files: each with its SHA-256.

    The digest of the model is that of the digests of its files, one after another in the order of their names.
    """
    resources = [
        {"name": path, "algorithm": "sha256", "digest": file.sha256}
        for path, file in sorted((lock.files or {}).items())
    ]
    whole = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources))
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": resources,
        },
    }
    yield json_text(document) + "\n"
