"""registry.py: all faults by number, and which of them make test runs."""
import inspect

import faults_clients
import faults_network
import faults_processes
import faults_records
import faults_servers
import faults_sleepers
from harness import Fault

MODULES = (faults_processes, faults_servers, faults_network, faults_clients, faults_records, faults_sleepers)
FAULTS = sorted((c for m in MODULES for _, c in inspect.getmembers(m, inspect.isclass) if issubclass(c, Fault) and c.number),
                key=lambda c: c.number)
SHORT = (25, 33)  # those that no test in C covers and that are soon over
