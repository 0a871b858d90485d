import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPrivateKeySpec;
import java.security.spec.ECPublicKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Opens veiled values as docs/veil.md says, with the JDK alone: (ENVELOPE PRIVATE-NUMBER-HEX CODE-OR-SHARE)...; prints
 * the plaintext in hex once the commitment holds.
 */
public final class VeilOpen {
    private static final String SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    private VeilOpen() {
    }

    public static void main(String[] arguments) throws Exception {
        for (int at = 0; at + 2 < arguments.length; at += 3) {
            byte[] opened = open(Files.readString(Path.of(arguments[at])), arguments[at + 1], arguments[at + 2]);
            System.out.println(HexFormat.of().formatHex(opened));
        }
    }

    private static byte[] open(String envelope, String number, String outside) throws Exception {
        String start = "{\"ciphertext\":\"";
        int end = envelope.indexOf('"', start.length());
        byte[] ciphertext = Base64.getUrlDecoder().decode(envelope.substring(start.length(), end));
        byte[] header = ("{" + envelope.substring(end + 2)).getBytes(StandardCharsets.UTF_8);
        byte[] point = Base64.getUrlDecoder().decode(member(envelope, "ephemeral"));
        byte[] secret = member(envelope, "outside").equals("code")
                ? fromCode(outside) : Base64.getUrlDecoder().decode(outside);
        byte[] check = hkdf(secret, point, "cinnabar veil check v1", 16);
        if (!HexFormat.of().formatHex(check).equals(member(envelope, "outside_check"))) {
            throw new IllegalArgumentException("the code or share is another one");
        }
        byte[] agreed = agree(number, point);
        byte[] input = ByteBuffer.allocate(agreed.length + secret.length).put(agreed).put(secret).array();
        byte[] keys = hkdf(input, sha256(header), "cinnabar veil key v1", 44);
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(keys, 0, 32, "AES"),
                new GCMParameterSpec(128, Arrays.copyOfRange(keys, 32, 44)));
        cipher.updateAAD(header);
        byte[] content = cipher.doFinal(ciphertext);
        byte[] salt = Arrays.copyOf(content, 32);
        int length = Math.toIntExact(ByteBuffer.wrap(content, 32, 8).getLong());
        byte[] plaintext = Arrays.copyOfRange(content, 40, 40 + length);
        byte[] prefix = "cinnabar veil commitment v1\n".getBytes(StandardCharsets.US_ASCII);
        byte[] committed = sha256(ByteBuffer.allocate(prefix.length + 32 + length)
                .put(prefix).put(salt).put(plaintext).array());
        if (!HexFormat.of().formatHex(committed).equals(member(envelope, "commitment"))) {
            throw new IllegalArgumentException("not what was committed to");
        }
        return plaintext;
    }

    private static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(json);
        if (!found.find()) {
            throw new IllegalArgumentException(name);
        }
        return found.group(1);
    }

    private static byte[] fromCode(String code) {
        BigInteger number = BigInteger.ZERO;
        String symbols = code.replace("-", "");
        for (char symbol : symbols.substring(0, 27).toCharArray()) {
            number = number.shiftLeft(5).or(BigInteger.valueOf(SYMBOLS.indexOf(symbol)));
        }
        byte[] bytes = number.toByteArray();
        byte[] secret = new byte[17];
        int from = Math.max(0, bytes.length - 17);
        System.arraycopy(bytes, from, secret, 17 - (bytes.length - from), bytes.length - from);
        return secret;
    }

    private static byte[] agree(String number, byte[] point) throws Exception {
        AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
        parameters.init(new ECGenParameterSpec("secp256r1"));
        ECParameterSpec curve = parameters.getParameterSpec(ECParameterSpec.class);
        KeyFactory factory = KeyFactory.getInstance("EC");
        PrivateKey mine = factory.generatePrivate(new ECPrivateKeySpec(new BigInteger(number, 16), curve));
        ECPoint peer = new ECPoint(new BigInteger(1, Arrays.copyOfRange(point, 1, 33)),
                new BigInteger(1, Arrays.copyOfRange(point, 33, 65)));
        PublicKey theirs = factory.generatePublic(new ECPublicKeySpec(peer, curve));
        KeyAgreement agreement = KeyAgreement.getInstance("ECDH");
        agreement.init(mine);
        agreement.doPhase(theirs, true);
        return agreement.generateSecret();
    }

    private static byte[] hkdf(byte[] input, byte[] salt, String info, int length) throws Exception {
        byte[] extracted = hmac(salt, input);
        byte[] label = info.getBytes(StandardCharsets.US_ASCII);
        ByteBuffer made = ByteBuffer.allocate(96);
        byte[] block = new byte[0];
        for (byte at = 1; at <= 3; at++) {
            byte[] next = ByteBuffer.allocate(block.length + label.length + 1).put(block).put(label).put(at).array();
            block = hmac(extracted, next);
            made.put(block);
        }
        return Arrays.copyOf(made.array(), length);
    }

    private static byte[] hmac(byte[] key, byte[] message) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(message);
    }

    private static byte[] sha256(byte[] message) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(message);
    }
}
