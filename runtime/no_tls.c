/*
 * For static servers: libmicrohttpd without TLS.
 *
 * Debian's archive of it is made with GnuTLS, of which there is no archive that could be linked statically. A
 * server here speaks with its own machine, without TLS, so none of these functions is ever called; the linker
 * asks for mtl_no_tls before it comes to libmicrohttpd (driver/link.c) and finds them here.
 */
#include <stddef.h>

extern const char mtl_no_tls;
const char mtl_no_tls = 1;

extern void *(*const gnutls_malloc)(size_t);
void *(*const gnutls_malloc)(size_t) = NULL;

/* -1 is an error to whoever should call after all. */
#define NEVER(f)                                                                                             \
	int f(void);                                                                                         \
	int f(void) { return -1; }

NEVER(gnutls_alpn_set_protocols)
NEVER(gnutls_bye)
NEVER(gnutls_certificate_allocate_credentials)
NEVER(gnutls_certificate_free_credentials)
NEVER(gnutls_certificate_server_set_request)
NEVER(gnutls_certificate_set_dh_params)
NEVER(gnutls_certificate_set_retrieve_function2)
NEVER(gnutls_certificate_set_retrieve_function3)
NEVER(gnutls_certificate_set_x509_key_mem)
NEVER(gnutls_certificate_set_x509_key_mem2)
NEVER(gnutls_certificate_set_x509_trust_mem)
NEVER(gnutls_cipher_get)
NEVER(gnutls_credentials_set)
NEVER(gnutls_deinit)
NEVER(gnutls_dh_params_deinit)
NEVER(gnutls_dh_params_import_pkcs3)
NEVER(gnutls_dh_params_init)
NEVER(gnutls_global_deinit)
NEVER(gnutls_global_init)
NEVER(gnutls_handshake)
NEVER(gnutls_init)
NEVER(gnutls_priority_deinit)
NEVER(gnutls_priority_init)
NEVER(gnutls_priority_set)
NEVER(gnutls_protocol_get_version)
NEVER(gnutls_psk_allocate_server_credentials)
NEVER(gnutls_psk_free_server_credentials)
NEVER(gnutls_psk_set_server_credentials_function)
NEVER(gnutls_record_check_pending)
NEVER(gnutls_record_get_direction)
NEVER(gnutls_record_recv)
NEVER(gnutls_record_send)
NEVER(gnutls_session_get_ptr)
NEVER(gnutls_session_set_ptr)
NEVER(gnutls_strerror)
NEVER(gnutls_transport_set_int2)
