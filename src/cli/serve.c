/* cli/serve.c - `maas serve`. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/app.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "base/ban.h"

static maas_server_conf conf;

maas_conf maas_serve_settings(void)
{
    return maas_server_settings(&conf);
}

static maas_status default_data_dir(maas_server_conf *c, maas_err *err)
{
    const char *xdg = maas_sys_env("XDG_DATA_HOME"), *home = maas_sys_env("HOME");
    maas_buf path = MAAS_BUF_INIT(4096);
    if (c->data)
        return MAAS_OK;
    if (xdg && *xdg)
        maas_buf_printf(&path, "%s/maas", xdg);
    else if (home && *home)
        maas_buf_printf(&path, "%s/.local/share/maas", home);
    else
        return maas_fail(err, MAAS_E_INVALID, "give a data directory with --data");
    c->data = maas_buf_steal(&path, NULL);
    return c->data ? MAAS_OK : maas_fail(err, MAAS_E_NOMEM, "the data directory");
}

static maas_status read_settings(int argc, char **argv, maas_err *err)
{
    maas_conf c = maas_serve_settings();
    maas_level level;
    int n;
    MAAS_TRY(maas_conf_preset(&c, err));
    const char *file = maas_sys_env("MAAS_CONFIG");
    if (file)
        MAAS_TRY(maas_conf_file(&c, file, err));
    MAAS_TRY(maas_conf_env(&c, err));
    MAAS_TRY(maas_conf_args(&c, argc, argv, &n, err));
    if (n > 0)
        return maas_fail(err, MAAS_E_INVALID, "'%s' is not an option of serve", argv[0]);
    if (!maas_level_parse(conf.log_level, &level))
        return maas_fail(err, MAAS_E_INVALID, "log-level must be error, warn, info or debug");
    maas_log_open(2, level);
    if (!conf.tls_cert != !conf.tls_key)
        return maas_fail(err, MAAS_E_INVALID, "--tls-cert and --tls-key go together");
    return default_data_dir(&conf, err);
}

/* Signals are waited for by this thread alone; every other thread is born with them blocked. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void say_ready(const maas_app *app)
{
    printf("listening on %s://%s\n", conf.tls_cert ? "https" : "http",
           maas_http_address(app->http));
    fflush(stdout);
    MAAS_LOG(MAAS_LOG_INFO, "event=ready address=%s version=%s", maas_http_address(app->http),
             maas_version());
}

int maas_cmd_serve(int argc, char **argv)
{
    maas_err err = {0};
    maas_helper *helper = NULL;
    static maas_app app;
    sigset_t signals;
    int sig = 0;
    if (read_settings(argc, argv, &err) != MAAS_OK)
        return maas_cli_fail(&err);
    if (maas_helper_start(&helper, &err) != MAAS_OK)
        return maas_cli_fail(&err);
    block_signals(&signals);
    app.conf = conf;
    if (maas_app_start(&app, helper, &err) != MAAS_OK) {
        maas_helper_stop(helper);
        return err.code == MAAS_E_FORBIDDEN ? (maas_cli_fail(&err), MAAS_EXIT_INSECURE)
                                            : maas_cli_fail(&err);
    }
    say_ready(&app);
    while (sigwait(&signals, &sig) == 0 && sig == SIGHUP)
        continue;
    MAAS_LOG(MAAS_LOG_INFO, "event=stopping signal=%d", sig);
    maas_app_stop(&app);
    maas_helper_stop(helper);
    maas_conf c = maas_serve_settings();
    maas_conf_reset(&c);
    MAAS_LOG(MAAS_LOG_INFO, "event=stopped");
    return MAAS_EXIT_OK;
}
