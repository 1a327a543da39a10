#include "api/app.h"

#include "base/ban.h"

#define AT(field) offsetof(maas_server_conf, field)
#define GIB       (1ll << 30)

static const maas_conf_desc table[] = {
    {"listen", MAAS_CONF_STR, AT(listen), 0, 0, "127.0.0.1:8000", false, 'l', "ADDR:PORT",
     "where to listen; port 0 picks a free one; another address than loopback needs keys and TLS"},
    {"data", MAAS_CONF_STR, AT(data), 0, 0, NULL, false, 'd', "DIR",
     "data directory (default: maas below the XDG data home)"},
    {"tls-cert", MAAS_CONF_STR, AT(tls_cert), 0, 0, NULL, false, 0, "FILE",
     "TLS certificate chain, PEM"},
    {"tls-key", MAAS_CONF_STR, AT(tls_key), 0, 0, NULL, false, 0, "FILE", "TLS private key, PEM"},
    {"log-level", MAAS_CONF_STR, AT(log_level), 0, 0, "info", true, 0, "LEVEL",
     "error, warn, info or debug"},
    {"default-model", MAAS_CONF_STR, AT(default_model), 0, 0, NULL, true, 0, "NAME",
     "model of requests that name none (/invocations, /predict)"},
    {"io-threads", MAAS_CONF_INT, AT(io_threads), 0, 256, "0", false, 0, "N",
     "threads that serve connections; 0: one a core, at least 2"},
    {"lanes", MAAS_CONF_INT, AT(lanes), 1, 64, "1", false, 0, "N",
     "compute lanes: models that run at the same time"},
    {"cores", MAAS_CONF_INT, AT(cores), 0, 1024, "0", false, 0, "N",
     "cores that all lanes share; 0: all"},
    {"memory", MAAS_CONF_SIZE, AT(memory), 1 << 20, INT64_MAX, "4GiB", false, 0, "BYTES",
     "budget of loaded models"},
    {"max-body", MAAS_CONF_SIZE, AT(max_body), 1024, 16 * GIB, "64MiB", false, 0, "BYTES",
     "largest inference request"},
    {"max-upload", MAAS_CONF_SIZE, AT(max_upload), 1024, 1024 * GIB, "64GiB", false, 0, "BYTES",
     "largest upload of a data set, model or blob"},
    {"max-connections", MAAS_CONF_INT, AT(max_connections), 1, 1 << 20, "4096", false, 0, "N",
     "connections at a time"},
    {"max-per-ip", MAAS_CONF_INT, AT(max_per_ip), 0, 1 << 20, "0", false, 0, "N",
     "connections of one address at a time; 0: no limit on loopback, 256 elsewhere"},
    {"idle-timeout", MAAS_CONF_INT, AT(idle_timeout), 1, 3600, "60", false, 0, "SECONDS",
     "close a connection that is silent this long"},
    {"lm-cache", MAAS_CONF_SIZE, AT(lm_cache), 1 << 20, 1ll << 44, "256MiB", false, 0, "SIZE",
     "keys and values that one language model may keep; a sequence may be as long as fits in it"},
    {"lm-speculate", MAAS_CONF_INT, AT(lm_speculate), 0, 64, "7", false, 0, "TOKENS",
     "what was said before, or what a draft model says, is proposed and checked at once where that "
     "saves time; at most so many tokens, 0: none"},
    {"lm-cache-type", MAAS_CONF_STR, AT(lm_cache_type), 0, 0, "f16", false, 0, "TYPE",
     "how keys and values are kept: f16, or q8 in half the room; of one model: MODEL=TYPE, "
     "separated by commas"},
    {"lm-draft", MAAS_CONF_STR, AT(lm_draft), 0, 0, NULL, false, 0, "MODEL=DRAFT",
     "a smaller model of the same vocabulary that proposes tokens to a language model; several, "
     "separated by commas"},
    {"max-waiting", MAAS_CONF_INT, AT(max_waiting), 1, 1 << 20, "1024", false, 0, "N",
     "requests that may wait for one model; more are answered 429"},
    {"max-sequences", MAAS_CONF_INT, AT(max_sequences), 0, 1 << 24, "10000", false, 0, "N",
     "sequences (sequence_id) whose state is kept at a time; more are answered 429"},
    {"sequence-idle", MAAS_CONF_INT, AT(sequence_idle), 1, 30 * 86400, "600", false, 0, "SECONDS",
     "forget a sequence that had no request for that long"},
    {"inline-us", MAAS_CONF_INT, AT(inline_us), 0, 100000, "50", false, 0, "US",
     "models cheaper than this answer on the connection's thread"},
    {"job-cores", MAAS_CONF_INT, AT(job_cores), 0, 1024, "0", false, 0, "N",
     "cores for all jobs together; 0: all, niced"},
    {"job-memory", MAAS_CONF_SIZE, AT(job_memory), 0, INT64_MAX, "0", false, 0, "BYTES",
     "memory for all jobs together; 0: half of the machine"},
    {"max-jobs", MAAS_CONF_INT, AT(max_jobs), 1, 1 << 20, "1000", false, 0, "N",
     "jobs that may wait; more are answered 429"},
    {"import-timeout", MAAS_CONF_INT, AT(import_timeout), 1, 86400, "600", false, 0, "SECONDS",
     "longest time for parsing one upload"},
    {"drain", MAAS_CONF_INT, AT(drain), 0, 3600, "30", false, 0, "SECONDS",
     "longest wait for requests under way when stopping"},
};

maas_conf maas_server_settings(maas_server_conf *c)
{
    return (maas_conf){table, MAAS_COUNT(table), c};
}
