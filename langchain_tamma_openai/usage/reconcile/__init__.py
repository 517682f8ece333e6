"""The provider's account of what was used, held against the ledger.

`export.py` reads the provider's file, `ledger.py` the calls that the ledger says were billed. Calls
are compared one by one (`calls.py`) where the file lists them, else by time and model: tokens
(`buckets.py`) or amounts (`amounts.py`). Nothing here does I/O but those two readers.
"""

from langchain_tamma_openai.usage.reconcile.reconciling import reconcile
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind, Reconciliation

__all__ = ["Drift", "DriftKind", "Reconciliation", "reconcile"]
