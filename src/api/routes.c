#include "api/routes.h"

#include "api/anthropic.h"
#include "api/dialect.h"
#include "api/embeddings.h"
#include "api/generate.h"
#include "api/manage.h"
#include "api/oip.h"
#include "api/ollama.h"
#include "api/openai.h"
#include "api/responses.h"
#include "api/rows.h"
#include "api/upload.h"
#include "registry/registry.h"
#include "base/ban.h"

#define PUBLIC MAAS_SCOPE_PUBLIC
#define INFER  MAAS_SCOPE_INFER
#define READ   MAAS_SCOPE_READ
#define WRITE  MAAS_SCOPE_WRITE
#define TRAIN  MAAS_SCOPE_TRAIN
#define OPS    MAAS_SCOPE_OPS
#define ADMIN  MAAS_SCOPE_ADMIN
enum { CHEAP, COMPUTE, UPLOAD, STREAM };
#define NO_BODY      MAAS_BODY_NONE, 0
#define CONTROL      MAAS_BODY_BUFFER, MAAS_MAX_CONTROL_BODY
#define INFER_BODY   MAAS_BODY_BUFFER, MAAS_BODY_SETTING
#define INFER_STREAM MAAS_BODY_STREAM, MAAS_BODY_SETTING
/* Uploads are bounded by the disk and the setting max-upload, which the reader checks. */
#define FILE_STREAM MAAS_BODY_STREAM, (1ull << 40)

/* One row: method, path, handler, body reader, scope, cost, body, dialect, limit, words, schemas.
 */
#define ROW(m, p, fn, sc, co, bo, di, words, rq, rs)                                               \
    ROW_(m, p, fn, NULL, sc, co, bo, MAAS_DIALECT_##di, words, rq, rs)
#define ROWB(m, p, fn, on, sc, co, bo, di, words, rq, rs)                                          \
    ROW_(m, p, fn, on, sc, co, bo, MAAS_DIALECT_##di, words, rq, rs)
#define ROW_(m, p, fn, on, sc, co, mode, limit, di, words, rq, rs)                                 \
    {                                                                                              \
        .method = (m), .path = (p), .handle = (fn), .on_body = (on), .scope = (sc), .cost = (co),  \
        .body = (mode), .max_body = (limit), .dialect = (di), .summary = (words), .request = (rq), \
        .response = (rs)                                                                           \
    }

const maas_route maas_routes[] = {
    /* health and operations */
    ROW("GET", "/livez", maas_livez, PUBLIC, CHEAP, NO_BODY, MAAS, "Is the process alive?", NULL,
        NULL),
    ROW("GET", "/readyz", maas_readyz, PUBLIC, CHEAP, NO_BODY, MAAS, "Does it take requests?", NULL,
        NULL),
    ROW("GET", "/metrics", maas_metrics, OPS, CHEAP, NO_BODY, MAAS, "Prometheus metrics", NULL,
        NULL),
    ROW("GET", "/openapi.json", maas_openapi, READ, CHEAP, NO_BODY, MAAS,
        "This interface as OpenAPI", NULL, NULL),
    ROW("GET", "/api/v1/settings", maas_settings_get, OPS, CHEAP, NO_BODY, MAAS,
        "Settings in force", NULL, NULL),

    /* Open Inference Protocol and Triton's extensions */
    ROW("GET", "/v2", maas_oip_server, READ, CHEAP, NO_BODY, OIP, "Server metadata", NULL,
        "ServerMetadata"),
    ROW("GET", "/v2/health/live", maas_oip_live, PUBLIC, CHEAP, NO_BODY, OIP,
        "Is the server alive?", NULL, NULL),
    ROW("GET", "/v2/health/ready", maas_oip_ready, PUBLIC, CHEAP, NO_BODY, OIP,
        "Is the server ready?", NULL, NULL),
    ROW("GET", "/v2/models/stats", maas_oip_all_stats, READ, CHEAP, NO_BODY, OIP,
        "Statistics of all models", NULL, "Statistics"),
    ROW("GET", "/v2/models/{m}", maas_oip_model, READ, CHEAP, NO_BODY, OIP, "Model metadata", NULL,
        "ModelMetadata"),
    ROW("GET", "/v2/models/{m}/versions/{v}", maas_oip_model, READ, CHEAP, NO_BODY, OIP,
        "Version metadata", NULL, "ModelMetadata"),
    ROW("GET", "/v2/models/{m}/ready", maas_oip_model_ready, READ, CHEAP, NO_BODY, OIP,
        "Is the model ready?", NULL, NULL),
    ROW("GET", "/v2/models/{m}/versions/{v}/ready", maas_oip_model_ready, READ, CHEAP, NO_BODY, OIP,
        "Is the version ready?", NULL, NULL),
    ROW("GET", "/v2/models/{m}/config", maas_oip_config, READ, CHEAP, NO_BODY, OIP,
        "Model configuration", NULL, "ModelConfig"),
    ROW("GET", "/v2/models/{m}/versions/{v}/config", maas_oip_config, READ, CHEAP, NO_BODY, OIP,
        "Version configuration", NULL, "ModelConfig"),
    ROW("GET", "/v2/models/{m}/stats", maas_oip_stats, READ, CHEAP, NO_BODY, OIP,
        "Statistics of a model", NULL, "Statistics"),
    ROW("GET", "/v2/models/{m}/versions/{v}/stats", maas_oip_stats, READ, CHEAP, NO_BODY, OIP,
        "Statistics of a version", NULL, "Statistics"),
    ROWB("POST", "/v2/models/{m}/infer", maas_oip_infer, maas_oip_infer_body, INFER, COMPUTE,
         INFER_STREAM, OIP, "Predict: JSON or binary tensors, or images", "InferRequest",
         "InferResponse"),
    ROWB("POST", "/v2/models/{m}/versions/{v}/infer", maas_oip_infer, maas_oip_infer_body, INFER,
         COMPUTE, INFER_STREAM, OIP, "Predict with a version", "InferRequest", "InferResponse"),
    ROWB("POST", "/v2/models/{m}/profile", maas_oip_profile, maas_oip_infer_body, INFER, COMPUTE,
         INFER_STREAM, OIP, "Time, operations and bytes of each step of a run", "InferRequest",
         NULL),
    ROWB("POST", "/v2/models/{m}/versions/{v}/profile", maas_oip_profile, maas_oip_infer_body,
         INFER, COMPUTE, INFER_STREAM, OIP, "The same of a version", "InferRequest", NULL),
    ROWB("POST", "/v2/models/{m}/explain", maas_oip_explain, maas_oip_infer_body, INFER, COMPUTE,
         INFER_STREAM, OIP, "Why: Shapley values of the cells of each row", "InferRequest",
         "InferResponse"),
    ROWB("POST", "/v2/models/{m}/versions/{v}/explain", maas_oip_explain, maas_oip_infer_body,
         INFER, COMPUTE, INFER_STREAM, OIP, "Why a version answers as it does", "InferRequest",
         "InferResponse"),
    ROW("POST", "/v2/models/{m}/generate", maas_oip_generate, INFER, STREAM, INFER_BODY, OIP,
        "Continue a text with a language model", NULL, NULL),
    ROW("POST", "/v2/models/{m}/generate_stream", maas_oip_generate_stream, INFER, STREAM,
        INFER_BODY, OIP, "The same as server-sent events", NULL, NULL),
    ROW("POST", "/v2/repository/index", maas_oip_index, READ, CHEAP, CONTROL, OIP,
        "Models and their states", NULL, NULL),
    ROW("POST", "/v2/repository/models/{m}/load", maas_oip_load, WRITE, CHEAP, CONTROL, OIP,
        "Load a model", NULL, NULL),
    ROW("POST", "/v2/repository/models/{m}/unload", maas_oip_unload, WRITE, CHEAP, CONTROL, OIP,
        "Unload a model", NULL, NULL),

    /* TensorFlow Serving and KServe v1 */
    /* OpenAI's API */
    ROW("POST", "/v1/chat/completions", maas_openai_chat, INFER, STREAM, INFER_BODY, OPENAI,
        "Chat with a language model, whole or as server-sent events", NULL, NULL),
    ROW("POST", "/v1/completions", maas_openai_complete, INFER, STREAM, INFER_BODY, OPENAI,
        "Complete a text", NULL, NULL),
    ROW("POST", "/v1/responses", maas_openai_responses, INFER, STREAM, INFER_BODY, OPENAI,
        "Chat with a language model, in the words of the Responses API; nothing is stored", NULL,
        NULL),
    ROW("POST", "/v1/embeddings", maas_openai_embeddings, INFER, COMPUTE, INFER_BODY, OPENAI,
        "Texts, or tokens, as vectors of an encoder", NULL, NULL),
    ROW("POST", "/v1/rerank", maas_rerank, INFER, COMPUTE, INFER_BODY, OPENAI,
        "How well documents fit a query, the best first", NULL, NULL),
    ROW("POST", "/v2/rerank", maas_rerank, INFER, COMPUTE, INFER_BODY, OPENAI,
        "The same where Cohere's clients look for it", NULL, NULL),
    ROW("POST", "/rerank", maas_rerank, INFER, COMPUTE, INFER_BODY, OPENAI,
        "The same at the bare service URL", NULL, NULL),
    ROW("POST", "/tokenize", maas_tokenize, INFER, COMPUTE, INFER_BODY, OPENAI,
        "The tokens of a text or of a conversation", NULL, NULL),
    ROW("POST", "/detokenize", maas_detokenize, INFER, COMPUTE, INFER_BODY, OPENAI,
        "The text of tokens", NULL, NULL),
    ROW("POST", "/infill", maas_infill, INFER, STREAM, INFER_BODY, OPENAI,
        "What is between two texts, in the words of llama-server", NULL, NULL),

    /* Anthropic's */
    ROW("POST", "/v1/messages", maas_anthropic_messages, INFER, STREAM, INFER_BODY, ANTHROPIC,
        "Chat with a language model, in Anthropic's words", NULL, NULL),
    ROW("POST", "/v1/messages/count_tokens", maas_anthropic_count, INFER, COMPUTE, INFER_BODY,
        ANTHROPIC, "How many tokens a conversation has", NULL, NULL),

    /* Ollama's */
    ROW("GET", "/", maas_ollama_root, PUBLIC, CHEAP, NO_BODY, TFS, "What Ollama's clients look for",
        NULL, NULL),
    ROW("GET", "/api/version", maas_ollama_version, READ, CHEAP, NO_BODY, TFS, "Version", NULL,
        NULL),
    ROW("GET", "/api/tags", maas_ollama_tags, READ, CHEAP, NO_BODY, TFS, "Language models", NULL,
        NULL),
    ROW("GET", "/api/ps", maas_ollama_ps, READ, CHEAP, NO_BODY, TFS, "Language models in memory",
        NULL, NULL),
    ROW("POST", "/api/show", maas_ollama_show, READ, CHEAP, CONTROL, TFS, "A language model", NULL,
        NULL),
    ROW("POST", "/api/chat", maas_ollama_chat, INFER, STREAM, INFER_BODY, TFS,
        "Chat with a language model, as lines of JSON", NULL, NULL),
    ROW("POST", "/api/generate", maas_ollama_generate, INFER, STREAM, INFER_BODY, TFS,
        "Answer a prompt, as lines of JSON", NULL, NULL),

    ROW("POST", "/api/embed", maas_ollama_embed, INFER, COMPUTE, INFER_BODY, TFS,
        "Texts as vectors of an encoder", NULL, NULL),
    ROW("POST", "/api/embeddings", maas_ollama_embeddings, INFER, COMPUTE, INFER_BODY, TFS,
        "One text as a vector", NULL, NULL),

    ROW("GET", "/v1/models", maas_v1_models, READ, CHEAP, NO_BODY, TFS, "Models", NULL, NULL),
    ROW("GET", "/v1/models/{m}", maas_v1_model, READ, CHEAP, NO_BODY, TFS, "Status of a model",
        NULL, NULL),
    ROW("GET", "/v1/models/{m}/versions/{v}", maas_v1_model, READ, CHEAP, NO_BODY, TFS,
        "Status of a version", NULL, NULL),
    ROW("GET", "/v1/models/{m}/metadata", maas_v1_metadata, READ, CHEAP, NO_BODY, TFS,
        "Signature of a model", NULL, NULL),
    ROW("POST", "/v1/models/{m}:predict", maas_v1_predict, INFER, COMPUTE, INFER_BODY, TFS,
        "Predict: instances or inputs", "PredictRequest", "PredictResponse"),
    ROW("POST", "/v1/models/{m}/versions/{v}:predict", maas_v1_predict, INFER, COMPUTE, INFER_BODY,
        TFS, "Predict with a version", "PredictRequest", "PredictResponse"),
    ROW("POST", "/v1/models/{m}/labels/{v}:predict", maas_v1_predict, INFER, COMPUTE, INFER_BODY,
        TFS, "Predict with an alias", "PredictRequest", "PredictResponse"),
    ROW("POST", "/v1/models/{m}:explain", maas_v1_explain, INFER, COMPUTE, INFER_BODY, TFS,
        "Why: Shapley values of each instance", "PredictRequest", NULL),
    ROW("POST", "/v1/models/{m}/versions/{v}:explain", maas_v1_explain, INFER, COMPUTE, INFER_BODY,
        TFS, "Why a version answers as it does", "PredictRequest", NULL),

    /* MLflow and SageMaker */
    ROW("GET", "/ping", maas_ping, PUBLIC, CHEAP, NO_BODY, MLFLOW, "Is the server ready?", NULL,
        NULL),
    ROW("POST", "/invocations", maas_invocations, INFER, COMPUTE, INFER_BODY, MLFLOW,
        "Predict: data frame, instances, inputs or CSV", "Invocation", "PredictResponse"),

    /* the shortest way */
    ROW("POST", "/predict", maas_predict, INFER, COMPUTE, INFER_BODY, TFS,
        "model_name and input_data in, output_data out", NULL, NULL),
    ROW("POST", "/", maas_predict, INFER, COMPUTE, INFER_BODY, TFS,
        "The same at the bare service URL", NULL, NULL),

    /* data sets */
    ROWB("PUT", "/api/v1/datasets/{name}", maas_datasets_put, maas_upload_body, WRITE, UPLOAD,
         FILE_STREAM, MAAS, "Upload a data set: a file, or form parts that become columns", NULL,
         "Dataset"),
    ROW("GET", "/api/v1/datasets", maas_datasets_list, READ, CHEAP, NO_BODY, MAAS, "Data sets",
        NULL, NULL),
    ROW("GET", "/api/v1/datasets/{name}", maas_datasets_get, READ, CHEAP, NO_BODY, MAAS,
        "Schema and statistics of a data set", NULL, "Dataset"),
    ROW("DELETE", "/api/v1/datasets/{name}", maas_datasets_delete, WRITE, CHEAP, NO_BODY, MAAS,
        "Delete a data set", NULL, NULL),

    /* models */
    ROWB("PUT", "/api/v1/models/{name}/versions", maas_versions_put, maas_upload_body, WRITE,
         UPLOAD, FILE_STREAM, MAAS, "Upload a model file as a new version", NULL, "Version"),
    ROW("POST", "/api/v1/models/{name}/versions", maas_versions_post, WRITE, UPLOAD, CONTROL, MAAS,
        "A new version from uploaded blobs", "VersionFiles", "Version"),
    ROW("GET", "/api/v1/models", maas_models_list, READ, CHEAP, NO_BODY, MAAS, "Models", NULL,
        NULL),
    ROW("GET", "/api/v1/models/{name}", maas_models_get, READ, CHEAP, NO_BODY, MAAS,
        "A model with versions and aliases", NULL, NULL),
    ROW("DELETE", "/api/v1/models/{name}", maas_models_delete, WRITE, CHEAP, NO_BODY, MAAS,
        "Delete a model", NULL, NULL),
    ROW("GET", "/api/v1/models/{name}/versions/{v}", maas_versions_get, READ, CHEAP, NO_BODY, MAAS,
        "A version: schema, metrics, lineage", NULL, "Version"),
    ROW("DELETE", "/api/v1/models/{name}/versions/{v}", maas_versions_delete, WRITE, CHEAP, NO_BODY,
        MAAS, "Delete a version", NULL, NULL),
    ROW("GET", "/api/v1/models/{name}/versions/{v}/artifact", maas_versions_artifact, READ, UPLOAD,
        NO_BODY, MAAS, "Download the model file", NULL, NULL),
    ROW("PUT", "/api/v1/models/{name}/aliases/{alias}", maas_aliases_put, WRITE, CHEAP, CONTROL,
        MAAS, "Point an alias to a version", "Alias", "Alias"),
    ROW("DELETE", "/api/v1/models/{name}/aliases/{alias}", maas_aliases_delete, WRITE, CHEAP,
        NO_BODY, MAAS, "Delete an alias", NULL, NULL),
    ROWB("PUT", "/api/v1/blobs/{sha256}", maas_blobs_put, maas_blobs_body, WRITE, UPLOAD,
         FILE_STREAM, MAAS, "Upload a file by its digest, resumable", NULL, "Blob"),
    ROW("GET", "/api/v1/blobs/{sha256}", maas_blobs_get, WRITE, CHEAP, NO_BODY, MAAS,
        "How much of a file is here", NULL, "Blob"),

    /* jobs */
    ROW("POST", "/api/v1/jobs", maas_jobs_post, TRAIN, CHEAP, CONTROL, MAAS, "Start a job", "Job",
        "Job"),
    ROW("GET", "/api/v1/jobs", maas_jobs_index, READ, CHEAP, NO_BODY, MAAS, "Jobs, newest first",
        NULL, NULL),
    ROW("GET", "/api/v1/jobs/{id}", maas_jobs_show, READ, CHEAP, NO_BODY, MAAS,
        "A job: state, progress, metrics", NULL, "Job"),
    ROW("GET", "/api/v1/jobs/{id}/events", maas_jobs_events, READ, STREAM, NO_BODY, MAAS,
        "The job as server-sent events", NULL, NULL),
    ROW("DELETE", "/api/v1/jobs/{id}", maas_jobs_delete, TRAIN, CHEAP, NO_BODY, MAAS,
        "Cancel a job", NULL, "Job"),

    /* keys */
    ROW("POST", "/api/v1/keys", maas_keys_post, ADMIN, CHEAP, CONTROL, MAAS,
        "Make an API key; shown once", "Key", "Key"),
    ROW("GET", "/api/v1/keys", maas_keys_list, ADMIN, CHEAP, NO_BODY, MAAS,
        "Keys, without their secrets", NULL, NULL),
    ROW("DELETE", "/api/v1/keys/{id}", maas_keys_delete, ADMIN, CHEAP, NO_BODY, MAAS,
        "Revoke a key", NULL, NULL),
    {.method = NULL},
};
const size_t maas_n_routes = MAAS_COUNT(maas_routes) - 1;
