/** Tiny graphs made with the Python `onnx` package (helper API, opset 17, ai.onnx.ml 3, IR 8), as base64. */
const decode = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/**
 * - dense: Gemm x[n,3] · [[1,2],[3,4],[5,6]] + [0.5,-0.5].
 * - embedding: id int64[n,1] gathers [[1,10],[2,20],[3,30]], times x[n,2], summed; the label (int64) is the first output.
 * - tree: base 0.5; x1 <= 2 (missing goes true) gives -1, else 4.
 * - rowwise: frozen to batches of one, sums three values. frozen: frozen to two rows, one sum for both.
 * - unknownOperator, labelsOnly: nothing the Worker can serve. divisor: the rows come out in another number.
 */
export const tinyModels = {
  /** 135 bytes */
  dense: decode(
    "CAgSADp7ChIKAXgKAXcKAWISAXkiBEdlbW0SAWcqIwgDCAIQAUIBd0oYAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAKhEIAhABQgFiSggAAAA/AAAAv1oUCgF4Eg8KDQgBEgkKAxIBbgoCCANiFAoBeRIPCg0IARIJCgMSAW4KAggCQgQKABAR",
  ),
  /** 331 bytes */
  embedding: decode(
    "CAgSADq+AgoUCgFlCgJpZBIDcm93IgZHYXRoZXIKFAoDcm93CgFzEgFyIgdSZXNoYXBlCg4KAXIKAXgSAXAiA011bAocCgJpZBIFbGFiZWwiBENhc3QqCQoCdG8YB6ABAgoqCgFwCgJheBIFc2NvcmUiCVJlZHVjZVN1bSoPCghrZWVwZGltcxgBoAECEgFnKiMIAwgCEAFCAWVKGAAAgD8AACBBAAAAQAAAoEEAAEBAAADwQSoZCAIQB0IBc0oQ//////////8CAAAAAAAAACoSCAEQB0ICYXhKCAEAAAAAAAAAWhUKAmlkEg8KDQgHEgkKAxIBbgoCCAFaFAoBeBIPCg0IARIJCgMSAW4KAggCYhgKBWxhYmVsEg8KDQgHEgkKAxIBbgoCCAFiGAoFc2NvcmUSDwoNCAESCQoDEgFuCgIIAUIECgAQEQ==",
  ),
  /** 618 bytes */
  tree: decode(
    "CAgSADrNBAqbBAoBeBIBeSIVVHJlZUVuc2VtYmxlUmVncmVzc29yKhwKEmFnZ3JlZ2F0ZV9mdW5jdGlvbiIDU1VNoAEDKhUKC2Jhc2VfdmFsdWVzPQAAAD+gAQYqEAoJbl90YXJnZXRzGAGgAQIqHQoSbm9kZXNfZmFsc2Vub2RlaWRzQAJAAEAAoAEHKhsKEG5vZGVzX2ZlYXR1cmVpZHNAAUAAQACgAQcqIgoObm9kZXNfaGl0cmF0ZXM9AACAPz0AAIA/PQAAgD+gAQYqKgofbm9kZXNfbWlzc2luZ192YWx1ZV90cmFja3NfdHJ1ZUABQABAAKABByooCgtub2Rlc19tb2Rlc0oKQlJBTkNIX0xFUUoETEVBRkoETEVBRqABCCoYCg1ub2Rlc19ub2RlaWRzQABAAUACoAEHKhgKDW5vZGVzX3RyZWVpZHNAAEAAQACgAQcqHAoRbm9kZXNfdHJ1ZW5vZGVpZHNAAUAAQACgAQcqIAoMbm9kZXNfdmFsdWVzPQAAAEA9AAAAAD0AAAAAoAEGKhkKDnBvc3RfdHJhbnNmb3JtIgROT05FoAEDKhMKCnRhcmdldF9pZHNAAEAAoAEHKhcKDnRhcmdldF9ub2RlaWRzQAFAAqABByoXCg50YXJnZXRfdHJlZWlkc0AAQACgAQcqHQoOdGFyZ2V0X3dlaWdodHM9AACAvz0AAIBAoAEGOgphaS5vbm54Lm1sEgFnWhQKAXgSDwoNCAESCQoDEgFuCgIIAmIUCgF5Eg8KDQgBEgkKAxIBbgoCCAFCBAoAEBFCDgoKYWkub25ueC5tbBAD",
  ),
  /** 93 bytes */
  frozen: decode(
    "CAgSADpRCiIKAXgSAXkiCVJlZHVjZVN1bSoPCghrZWVwZGltcxgBoAECEgFnWhMKAXgSDgoMCAESCAoCCAIKAggDYhMKAXkSDgoMCAESCAoCCAEKAggBQgQKABAR",
  ),
  /** 117 bytes */
  rowwise: decode(
    "CAgSADppCiYKAXgKAmF4EgF5IglSZWR1Y2VTdW0qDwoIa2VlcGRpbXMYAaABAhIBZyoSCAEQB0ICYXhKCAEAAAAAAAAAWhMKAXgSDgoMCAESCAoCCAEKAggDYhMKAXkSDgoMCAESCAoCCAEKAggBQgQKABAR",
  ),
  /** 109 bytes */
  unknownOperator: decode(
    "CAgSADpQCh8KAXgSAXkiCkZyb2JuaWNhdGU6C2NvbS5leGFtcGxlEgFnWhQKAXgSDwoNCAESCQoDEgFuCgIIA2IUCgF5Eg8KDQgBEgkKAxIBbgoCCANCBAoAEBFCDwoLY29tLmV4YW1wbGUQAQ==",
  ),
  /** 88 bytes */
  labelsOnly: decode(
    "CAgSADpMChsKAXgSAXkiBkFyZ01heCoLCgRheGlzGAGgAQISAWdaFAoBeBIPCg0IARIJCgMSAW4KAggDYhQKAXkSDwoNCAcSCQoDEgFuCgIIAUIECgAQEQ==",
  ),
  /** 106 bytes */
  divisor: decode(
    "CAgSADpeChIKAXgKAXMSAXkiB1Jlc2hhcGUSAWcqGQgCEAdCAXNKEP//////////AgAAAAAAAABaFAoBeBIPCg0IARIJCgMSAW4KAggDYhQKAXkSDwoNCAESCQoDEgFtCgIIAkIECgAQEQ==",
  ),
};
